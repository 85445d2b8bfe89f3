package engine

import "sallyport/protocol/ike"

// closeNames are the words for why sessions end.
var closeNames = [closeReasons]string{
	ike.ClosedByUs:      "closed here",
	ike.ClosedByPeer:    "closed by the peer",
	ike.ClosedRefused:   "refused",
	ike.ClosedTimeout:   "the peer stopped answering",
	ike.ClosedHalfOpen:  "the set-up was not finished in time",
	ike.ClosedExpired:   "its lifetime ended",
	ike.ClosedChildless: "it had no Child SA for too long",
	ike.ClosedProtocol:  "protocol error",
	ike.ClosedInternal:  "internal error",
}

// CloseText says in words why a session ended.
func CloseText(r ike.CloseReason) string {
	if int(r) < len(closeNames) && closeNames[r] != "" {
		return closeNames[r]
	}
	return "unknown reason"
}
