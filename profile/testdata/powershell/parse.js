// parse.js FILE... parses PowerShell with a grammar of others, and prints where
// a file is none. It ends with 1 if one is not.
const fs = require('node:fs')
const path = require('node:path')
const { Parser, Language } = require('@vscode/tree-sitter-wasm')

const dir = path.dirname(require.resolve('@vscode/tree-sitter-wasm'))

// firstError goes down to the innermost node that the grammar does not know.
function firstError(node) {
  for (const child of node.children) {
    if (child.hasError || child.isMissing) return firstError(child)
  }
  return node
}

async function main(files) {
  await Parser.init({ locateFile: (name) => path.join(dir, name) })
  const parser = new Parser()
  parser.setLanguage(await Language.load(path.join(dir, 'tree-sitter-powershell.wasm')))
  for (const file of files) {
    const tree = parser.parse(fs.readFileSync(file, 'utf8'))
    if (tree.rootNode.hasError) {
      const { row, column } = firstError(tree.rootNode).startPosition
      console.log(`${path.basename(file)}:${row + 1}:${column + 1}: this is not PowerShell`)
      process.exitCode = 1
    }
    tree.delete()
  }
}

main(process.argv.slice(2))
