// Package redact finds in messages what must not leave the house, and says what to
// put in its place. What is a secret is known in one place, for two uses.
//
// A Finder hides secrets in a decoded message, for a printer to show.
//
// A Sanitizer says how to change the bytes of a whole recording, so that it still is
// what it was for every parser and for a replay, without its secrets. It reads the
// recording twice, for what is found late is replaced where it stood early:
//
//	first reading     Learn    Messages -> dictionary of secrets, bounded
//	second reading    Edit     Messages -> Edits of the streams, and a Summary
//
// Then decode/rewrite makes other packets of the packets and the Edits, and a Search
// goes through what came out. A secret's place is taken by its pseudonym, which depends
// on nothing but the secret and the key: so a cookie that was set is the one that is
// sent, an address in a text the one in the packet. Pseudonyms have the length of what they
// stand for, but for IPv4 addresses as text; where lengths change, so do those that
// messages tell.
//
// It fails closed: what is not understood is blanked, and counted.
package redact
