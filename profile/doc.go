// Package profile writes what one client needs to connect: the file, script or
// card of its platform, made from the policy of the zone that the device
// belongs to. The gateway's own proposals come from the same policy, so the two
// cannot drift; the tests read every profile back and negotiate it.
//
// How the client proves itself is one of the words of the zone's auth
// ([Input].Auth); the table in auth.go holds what each client can. A password
// never stands in a profile; a pre-shared key does where its client takes it so,
// in a file marked as secret.
//
// Some clients can say only one proposal, or few algorithms. The tables of
// words in words.go hold what each can say; a policy that a client cannot meet
// is refused with the reason ([RefusedError]) and never weakened.
//
// No file holds a private key in clear. Where a platform wants the key inside
// its file (Apple, the strongSwan app) it is an encrypted PKCS#12 whose
// password this package never sees.
//
// Every value is escaped for the syntax it stands in (escape.go); text that
// cannot be printed is refused before that.
package profile
