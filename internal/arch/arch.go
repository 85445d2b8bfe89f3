// Package arch holds the rules of the house as tests: who may import whom,
// what protocol machines may not touch, which modules may be linked in, and
// what every source file looks like. Each failure gives its reason.
//
// The rules are tables in the test files; a change of a rule is a change of a
// row, which shows in review. There is nothing to import here.
package arch
