// Package values finds what a server makes up and a client says again: session cookies,
// CSRF tokens, identifiers of what was created. At a replay it takes them from the live
// answers, and puts them into the requests that carry them.
//
// A Finder is told of a recording's exchanges in their order, and remembers of each value
// a hash and where it stood, as many as Options.Memory has room for: it keeps no value, and so no secret.
// What it Found are Values, each with the answer and the Place that it comes from, and
// Uses, each with a request and the part of it that has the value. Both are small and
// without the bytes themselves, so a plan may be anywhere.
//
// Live holds what has been seen of them while a plan is played. Request.Edits says what to
// change in a request, and nothing else changes: lengths and the sizes of chunks are put
// right, and where the live value is the recorded one, the bytes are the recorded ones.
//
// It is about HTTP/1. Bodies of requests in a content encoding are not looked into.
package values
