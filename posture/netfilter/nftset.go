package netfilter

import "slices"

// set reads the elements of a set or map: "set X { type …; elements = { … } }" or
// "add element T X { … }".
func (f *nftParser) set(table, name, what string) {
	if !f.accept("{") {
		f.rest()
		return
	}
	if what == "element" {
		f.elements(table, name, f.braced())
		return
	}
	for f.i < len(f.toks) && !f.accept("}") {
		t := f.next()
		if t.s != "elements" {
			if !ends(t) {
				f.rest()
			}
			continue
		}
		f.accept("=")
		words := f.rest()
		if len(words) > 1 && words[0].s == "{" {
			words = words[1 : len(words)-1]
		}
		f.elements(table, name, words)
	}
}

// braced takes what is left up to the closing brace, and that.
func (f *nftParser) braced() []token {
	var out []token
	for depth := 0; f.i < len(f.toks); {
		t := f.next()
		if t.s == "}" && !t.quoted {
			if depth == 0 {
				break
			}
			depth--
		}
		if t.s == "{" && !t.quoted {
			depth++
		}
		if t.s != "\n" {
			out = f.expand(out, t, 0)
		}
	}
	return out
}

func (f *nftParser) elements(table, name string, words []token) {
	key := table + " " + name
	for _, e := range commas(words) {
		tuple, verdict, target, isMap := element(e)
		if isMap {
			f.rules.maps[key] = append(f.rules.maps[key], branch{tuple, verdict, target})
		} else if len(tuple) > 0 {
			f.rules.sets[key] = append(f.rules.sets[key], tuple)
		}
	}
}

// commas cuts a list at its commas; braces that a variable brought along are
// left out.
func commas(words []token) [][]token {
	var all [][]token
	var one []token
	for _, w := range words {
		switch {
		case !w.quoted && w.s == ",":
			all, one = append(all, one), nil
		case !w.quoted && (w.s == "{" || w.s == "}"):
		default:
			one = append(one, w)
		}
	}
	return append(all, one)
}

// element is one of a set: "10.0.0.0/8", "udp . 500", "500 - 600 timeout 1h", or
// of a verdict map: "lo : accept".
func element(words []token) (tuple []string, v verdict, target string, isMap bool) {
	part := ""
	for i, w := range words {
		switch {
		case !w.quoted && w.s == ".":
			tuple, part = append(tuple, part), ""
		case !w.quoted && w.s == ":":
			tuple = append(tuple, part)
			if i+1 < len(words) {
				v, target = verdictOf(words[i+1:])
			}
			return tuple, v, target, true
		case !w.quoted && slices.Contains([]string{"timeout", "expires", "counter", "comment", "limit"}, w.s) && part != "":
			rest := slices.IndexFunc(words[i:], func(t token) bool { return t.s == ":" && !t.quoted })
			if rest < 0 {
				return append(tuple, part), 0, "", false
			}
			v, target = verdictOf(words[i+rest+1:])
			return append(tuple, part), v, target, true
		default:
			part += w.s
		}
	}
	if part != "" {
		tuple = append(tuple, part)
	}
	return tuple, 0, "", false
}

func verdictOf(words []token) (verdict, string) {
	if len(words) == 0 {
		return next, ""
	}
	target := ""
	if len(words) > 1 {
		target = words[1].s
	}
	switch words[0].s {
	case "accept":
		return accept, ""
	case "drop":
		return drop, ""
	case "jump":
		return jump, target
	case "goto":
		return follow, target
	case "return":
		return back, ""
	case "queue":
		return queue, ""
	}
	return next, ""
}
