package proto

import "testing"

func TestHTTPEndpoint(t *testing.T) {
	for target, want := range map[string]string{
		"/":               "GET h/",
		"/users/7":        "GET h/users/{id}",
		"/users/7/":       "GET h/users/{id}/",
		"/users/7?x=/1/2": "GET h/users/{id}",
		"//7//8":          "GET h//{id}//{id}",
		"/v1/a-2":         "GET h/v1/a-2",
		"/o/5f2b9c1e-7a3d-4f0e-9b1c-0a1b2c3d4e5f/x":      "GET h/o/{id}/x",
		"/blob/da39a3ee5e6b4b0d3255bfef95601890afd80709": "GET h/blob/{id}",
		"/t/eyJhbGciOi1234567890":                        "GET h/t/{id}",
		"/deadbeef/cafe":                                 "GET h/deadbeef/cafe",
		"/jquery-3.7.1.js":                               "GET h/jquery-3.7.1.js",
		"*":                                              "GET *",
		"":                                               "GET ",
		"http://a/1":                                     "GET http://a/{id}",
	} {
		h := &HTTPMessage{Method: "GET", Target: target, Fields: []Field{{"Host", "h"}}}
		if got := h.Endpoint(); got != want {
			t.Errorf("%q: %q, want %q", target, got, want)
		}
	}
}
