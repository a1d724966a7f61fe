package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"math/big"
	"net/http"
	"strconv"
	"sync"
)

// notebook is a little site behind a login, as many are: a session cookie, a CSRF token in a
// form, a bearer token for its API, and numbers that it gives to what is made. All of these
// are other ones each time that it is started.
type notebook struct {
	mu       sync.Mutex
	sessions map[string]*session // by the cookie
	notes    map[int]string
	next     int
}

// session is what is known of a browser.
type session struct{ csrf, token, user string }

func newNotebook() *notebook {
	const most = 9000
	n, err := rand.Int(rand.Reader, big.NewInt(most))
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return &notebook{sessions: make(map[string]*session), notes: make(map[int]string), next: 1000 + int(n.Int64())}
}

func (n *notebook) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", n.form)
	mux.HandleFunc("POST /login", n.login)
	mux.HandleFunc("GET /me", n.known(n.me))
	mux.HandleFunc("POST /notes", n.known(n.write))
	mux.HandleFunc("GET /notes/{id}", n.known(n.read))
	mux.HandleFunc("PUT /notes/{id}", n.known(n.change))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.mu.Lock()
		defer n.mu.Unlock()
		mux.ServeHTTP(w, r)
	})
}

// begin gives a browser a new session.
func (n *notebook) begin(w http.ResponseWriter, user string) *session {
	s := &session{csrf: rand.Text(), token: rand.Text(), user: user}
	id := rand.Text()
	n.sessions[id] = s
	http.SetCookie(w, &http.Cookie{Name: "sid", Value: id, Path: "/", HttpOnly: true})
	return s
}

// session returns that of a request; nil without.
func (n *notebook) session(r *http.Request) *session {
	c, err := r.Cookie("sid")
	if err != nil {
		return nil
	}
	return n.sessions[c.Value]
}

func (n *notebook) form(w http.ResponseWriter, r *http.Request) {
	s := n.begin(w, "")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, `<form method="post"><input type="hidden" name="csrf" value="%s"><input name="user"><input name="password" type="password"></form>`, s.csrf)
}

func (n *notebook) login(w http.ResponseWriter, r *http.Request) {
	s := n.session(r)
	if s == nil || r.PostFormValue("csrf") != s.csrf || r.PostFormValue("password") != "enigma" {
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	n.begin(w, r.PostFormValue("user"))
	http.Redirect(w, r, "/me", http.StatusSeeOther)
}

// known wants a session of somebody; but for /me, the token, too.
func (n *notebook) known(h func(http.ResponseWriter, *http.Request, *session)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s := n.session(r)
		if s == nil || s.user == "" || r.URL.Path != "/me" && r.Header.Get("Authorization") != "Bearer "+s.token {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		h(w, r, s)
	}
}

func (n *notebook) me(w http.ResponseWriter, r *http.Request, s *session) {
	fmt.Fprintf(w, `{"user":%q,"token":%q}`+"\n", html.EscapeString(s.user), s.token)
}

// note is one, as it is sent.
type note struct {
	ID   int    `json:"id"`
	Text string `json:"text"`
}

// noteOf reads one from a request.
func noteOf(w http.ResponseWriter, r *http.Request) (x note, ok bool) {
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<16)).Decode(&x); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return x, false
	}
	return x, true
}

func (n *notebook) write(w http.ResponseWriter, r *http.Request, s *session) {
	x, ok := noteOf(w, r)
	if !ok {
		return
	}
	x.ID = n.next
	n.next++
	n.notes[x.ID] = x.Text
	w.Header().Set("Location", "/notes/"+strconv.Itoa(x.ID))
	w.WriteHeader(http.StatusCreated)
	json.NewEncoder(w).Encode(x)
}

func (n *notebook) read(w http.ResponseWriter, r *http.Request, s *session) {
	id, _ := strconv.Atoi(r.PathValue("id"))
	text, ok := n.notes[id]
	if !ok {
		http.NotFound(w, r)
		return
	}
	json.NewEncoder(w).Encode(note{id, text})
}

func (n *notebook) change(w http.ResponseWriter, r *http.Request, s *session) {
	x, ok := noteOf(w, r)
	if !ok {
		return
	}
	if id, _ := strconv.Atoi(r.PathValue("id")); id != x.ID {
		http.Error(w, "which one?", http.StatusConflict)
		return
	}
	n.notes[x.ID] = x.Text
	n.read(w, r, s)
}
