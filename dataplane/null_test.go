package dataplane

import "testing"

func TestNullRemembersTheCall(t *testing.T) {
	var n Null
	call := &Call{Tunnel: 7}
	if err := n.Apply(Add{ChildSA{SPIIn: 1, Transport: true}}, SetCall{SPIIn: 1, Call: call}, SetCall{SPIIn: 2, Call: call}); err != nil {
		t.Fatal(err)
	}
	if sas := n.SAs(); len(sas) != 1 || sas[1].Call != call {
		t.Errorf("%+v, want one Child SA with the call", sas)
	}
	n.Apply(SetCall{SPIIn: 1})
	if n.SAs()[1].Call != nil {
		t.Error("a closed call is still there")
	}
}
