package ikemsg

import "iter"

// Find is the first payload of type T, as in Find[*SA](m.Payloads). IDi and
// IDr are both *ID, TSi and TSr both *TS: use FindID and FindTS for those.
func Find[T Payload](ps []Payload) (T, bool) {
	for _, p := range ps {
		if t, ok := p.(T); ok {
			return t, true
		}
	}
	var none T
	return none, false
}

// All yields the payloads of type T in their order.
func All[T Payload](ps []Payload) iter.Seq[T] {
	return func(yield func(T) bool) {
		for _, p := range ps {
			if t, ok := p.(T); ok && !yield(t) {
				return
			}
		}
	}
}

// FindNotify is the first Notify payload of the given type.
func FindNotify(ps []Payload, t NotifyType) (*Notify, bool) {
	for n := range All[*Notify](ps) {
		if n.Type == t {
			return n, true
		}
	}
	return nil, false
}

// FindID is the first IDi or, for the responder's, IDr payload.
func FindID(ps []Payload, responder bool) (*ID, bool) {
	for id := range All[*ID](ps) {
		if id.Responder == responder {
			return id, true
		}
	}
	return nil, false
}

// FindTS is the first TSi or, for the responder's, TSr payload.
func FindTS(ps []Payload, responder bool) (*TS, bool) {
	for ts := range All[*TS](ps) {
		if ts.Responder == responder {
			return ts, true
		}
	}
	return nil, false
}
