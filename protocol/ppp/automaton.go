package ppp

// The option negotiation automaton of RFC 1661, Section 4. LCP, IPCP and IPV6CP
// each run one; what differs between them is data (layer). The table below is
// the RFC's, row by row and in its order.

// state is one of RFC 1661, Section 4.2.
type state uint8

const (
	initial state = iota
	starting
	closed
	stopped
	closing
	stopping
	reqSent
	ackRcvd
	ackSent
	opened
	states
)

var stateNames = [states]string{"Initial", "Starting", "Closed", "Stopped", "Closing", "Stopping", "Req-Sent", "Ack-Rcvd", "Ack-Sent", "Opened"}

func (s state) String() string { return stateNames[s] }

// timed tells whether the Restart timer runs: where the table has TO events.
func (s state) timed() bool { return s >= closing && s <= ackSent }

// event is one of RFC 1661, Section 4.3.
type event uint8

const (
	up event = iota
	down
	open
	shut // Close
	toPlus
	toMinus
	rcrPlus
	rcrMinus
	rca
	rcn
	rtr
	rta
	ruc
	rxjPlus
	rxjMinus
	rxr
	events
)

// action is one of RFC 1661, Section 4.4.
type action uint8

const (
	tlu action = iota + 1 // This-Layer-Up
	tld                   // This-Layer-Down
	tls                   // This-Layer-Started
	tlf                   // This-Layer-Finished
	irc                   // Initialize-Restart-Count
	zrc                   // Zero-Restart-Count
	scr                   // Send-Configure-Request
	sca                   // Send-Configure-Ack
	scn                   // Send-Configure-Nak or -Reject
	str                   // Send-Terminate-Request
	sta                   // Send-Terminate-Ack
	scj                   // Send-Code-Reject
	ser                   // Send-Echo-Reply
)

// transition is one cell of the table. The zero value is the RFC's "-": the
// event cannot occur there, and nothing happens.
type transition struct {
	legal bool
	next  state
	do    [3]action
}

// to makes a cell: the actions in order, then the next state.
func to(next state, do ...action) transition {
	t := transition{legal: true, next: next}
	copy(t.do[:], do)
	return t
}

// table is that of RFC 1661, Section 4.1. Of its options we take none: no
// passive wait [p], no restart at Open [r]; [x] marks a crossed connection.
var table = [events][states]transition{
	// Initial, Starting, Closed, Stopped, Closing, Stopping,
	// Req-Sent, Ack-Rcvd, Ack-Sent, Opened
	up: {to(closed), to(reqSent, irc, scr), {}, {}, {}, {},
		{}, {}, {}, {}},
	down: {{}, {}, to(initial), to(starting, tls), to(initial), to(starting),
		to(starting), to(starting), to(starting), to(starting, tld)},
	open: {to(starting, tls), to(starting), to(reqSent, irc, scr), to(stopped), to(stopping), to(stopping),
		to(reqSent), to(ackRcvd), to(ackSent), to(opened)},
	shut: {to(initial), to(initial, tlf), to(closed), to(closed), to(closing), to(closing),
		to(closing, irc, str), to(closing, irc, str), to(closing, irc, str), to(closing, tld, irc, str)},

	toPlus: {{}, {}, {}, {}, to(closing, str), to(stopping, str),
		to(reqSent, scr), to(reqSent, scr), to(ackSent, scr), {}},
	toMinus: {{}, {}, {}, {}, to(closed, tlf), to(stopped, tlf),
		to(stopped, tlf), to(stopped, tlf), to(stopped, tlf), {}},

	rcrPlus: {{}, {}, to(closed, sta), to(ackSent, irc, scr, sca), to(closing), to(stopping),
		to(ackSent, sca), to(opened, sca, tlu), to(ackSent, sca), to(ackSent, tld, scr, sca)},
	rcrMinus: {{}, {}, to(closed, sta), to(reqSent, irc, scr, scn), to(closing), to(stopping),
		to(reqSent, scn), to(ackRcvd, scn), to(reqSent, scn), to(reqSent, tld, scr, scn)},
	rca: {{}, {}, to(closed, sta), to(stopped, sta), to(closing), to(stopping),
		to(ackRcvd, irc), to(reqSent, scr), to(opened, irc, tlu), to(reqSent, tld, scr)},
	rcn: {{}, {}, to(closed, sta), to(stopped, sta), to(closing), to(stopping),
		to(reqSent, irc, scr), to(reqSent, scr), to(ackSent, irc, scr), to(reqSent, tld, scr)},

	rtr: {{}, {}, to(closed, sta), to(stopped, sta), to(closing, sta), to(stopping, sta),
		to(reqSent, sta), to(reqSent, sta), to(reqSent, sta), to(stopping, tld, zrc, sta)},
	rta: {{}, {}, to(closed), to(stopped), to(closed, tlf), to(stopped, tlf),
		to(reqSent), to(reqSent), to(ackSent), to(reqSent, tld, scr)},

	ruc: {{}, {}, to(closed, scj), to(stopped, scj), to(closing, scj), to(stopping, scj),
		to(reqSent, scj), to(ackRcvd, scj), to(ackSent, scj), to(opened, scj)},
	rxjPlus: {{}, {}, to(closed), to(stopped), to(closing), to(stopping),
		to(reqSent), to(reqSent), to(ackSent), to(opened)},
	rxjMinus: {{}, {}, to(closed, tlf), to(stopped, tlf), to(closed, tlf), to(stopped, tlf),
		to(stopped, tlf), to(stopped, tlf), to(stopped, tlf), to(stopping, tld, irc, str)},

	rxr: {{}, {}, to(closed), to(stopped), to(closing), to(stopping),
		to(reqSent), to(ackRcvd), to(ackSent), to(opened, ser)},
}
