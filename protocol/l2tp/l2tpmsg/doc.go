// Package l2tpmsg is the codec of L2TP version 2: control messages with their
// attribute value pairs (AVPs), and the header of data messages.
//
// Covered: RFC 2661, Sections 3 and 4 (header, message types, AVPs, hidden
// AVPs, result and error codes), the response to a tunnel challenge of Section
// 4.4.3, and Section 6 as a table of what each message holds. Not covered:
// L2TP version 3 (RFC 3931), L2F (RFC 2341), and AVPs of vendors, which stay
// raw.
//
// Parsing judges form: lengths, and nothing left over. Whether an AVP is known,
// belongs to its message and has a value of sense is for the machine in package
// l2tp, which finds the rules in the tables here. What Parse returns aliases
// its input.
//
// The functions for data messages allocate nothing, not even for an error.
package l2tpmsg
