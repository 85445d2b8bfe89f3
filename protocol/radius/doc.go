// Package radius is RADIUS as a network access server speaks it: the packet
// codec, the request machine that talks to a list of servers, the EAP
// conversation that a server judges, accounting records, and the machine that
// answers Disconnect and CoA requests.
//
// Covered: RFC 2865, RFC 2866, RFC 2868 (Tunnel-Password), RFC 2869, RFC 3162,
// RFC 3579 (EAP), RFC 2548 (the Microsoft attributes that carry keys and name
// servers), RFC 4372, RFC 4818, RFC 5080 (retransmission), RFC 5176 (dynamic
// authorization), RFC 5997 (Status-Server), RFC 6614 (what RadSec changes in
// packets) and RFC 6911. Not covered: PAP, CHAP and MS-CHAP toward a server,
// the extended attributes of RFC 6929, proxying, and RADIUS/1.1 (RFC 9765).
//
// MD5 protects RADIUS over UDP, which is broken: whoever can change a packet
// on its way can turn a refusal into an acceptance (CVE-2024-3596). So a
// Message-Authenticator stands first in every request for access, and every
// answer to one without a Message-Authenticator is dropped and counted; there
// is no switch for it. RadSec is better.
//
// Nothing here has a goroutine, a clock, a socket or a lock: time and packets
// are handed in, and what is to be done comes out as values.
package radius
