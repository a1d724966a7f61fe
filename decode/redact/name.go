package redact

import (
	"regexp"
	"strings"
	"sync"
)

// secretName matches names that hold secrets, of parameters and of the header
// fields that somebody made up, as X-Api-Key. Forms put them in brackets.
var secretName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)(pass(word|wd|phrase|code)|secret|token|api[_\-]?key|access[_\-]?key|private[_\-]?key|signature|credentials?|sess(ion)?_?id)\]?$`)
})

// secretParam matches what is a secret as a parameter only: short words, which
// are the end of many others.
var secretParam = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)(^|[_\-.\[])(pass|pwd|auth|session|sid|jwt|sig|code|otp|pin|cvv|cvc)\]?$`)
})

// personal are names of what says who somebody is, by how they end when all but
// letters is taken out.
var personal = []struct {
	end  string
	kind Kind
}{
	{"email", Email}, {"emailaddress", Email}, {"phone", Phone}, {"phonenumber", Phone}, {"mobile", Phone}, {"msisdn", Phone},
	{"cardnumber", Card}, {"ccnumber", Card}, {"creditcard", Card}, {"user", User}, {"username", User}, {"login", User}, {"userlogin", User},
}

// nonces are what names end with of what a server makes up for a client to say again: that it is made by
// chance has to show in the value.
var nonces = []string{"csrf", "xsrf", "nonce", "state", "ticket", "challenge", "verifier", "uuid", "sessionkey", "requestverification"}

// isSecretParam reports whether what a name stands for as a parameter is a secret.
func isSecretParam(name string) bool {
	return secretName().MatchString(name) || secretParam().MatchString(name)
}

// kindOf returns what the value of a parameter, a member of JSON, or a column is by its name;
// false when that says nothing.
func kindOf(name string) (Kind, bool) {
	if len(name) < 3 || len(name) > maxName {
		return 0, false
	}
	if isSecretParam(name) {
		lower := lowered(name)
		switch {
		case strings.Contains(lower, "pass"), strings.Contains(lower, "pwd"), strings.HasSuffix(lower, "pin"):
			return Password, true
		case strings.Contains(lower, "sess"), strings.HasSuffix(lower, "sid"):
			return Session, true
		case strings.HasSuffix(lower, "cvv"), strings.HasSuffix(lower, "cvc"):
			return Card, true
		}
		return Token, true
	}
	plain := letters(name)
	for _, end := range nonces {
		if strings.HasSuffix(plain, end) {
			return Nonce, true
		}
	}
	for _, p := range personal {
		if plain == p.end || len(p.end) > 4 && strings.HasSuffix(plain, p.end) && p.kind != User {
			return p.kind, true
		}
	}
	return 0, false
}

// maxName bounds a name that is looked at: one that says something is short.
const maxName = 128

// letters returns the letters of a name, small.
func letters(name string) string {
	var b [maxName]byte
	n := 0
	for i := range len(name) {
		if c := name[i] | 0x20; c >= 'a' && c <= 'z' {
			b[n] = c
			n++
		}
	}
	return string(b[:n])
}

// secretHeader reports whether a header field with a name of its own holds a secret, in
// small letters.
func secretHeader(name string) bool {
	return secretName().MatchString(name) || name == "x-auth" || name == "x-session"
}

// knownPrefixes are what secrets of services begin with, and how long they are then at
// least, from what the services document. It is shape.go's to say what a JWT, and
// scan.go's what a private key is.
var knownPrefixes = []struct {
	prefix string
	least  int
}{
	{"AKIA", 20}, {"ASIA", 20}, // of Amazon Web Services
	{"ghp_", 40}, {"gho_", 40}, {"ghu_", 40}, {"ghs_", 40}, {"ghr_", 40}, {"github_pat_", 40}, // of GitHub
	{"glpat-", 26}, {"gldt-", 25}, {"glrt-", 25}, // of GitLab
	{"xoxb-", 24}, {"xoxa-", 24}, {"xoxp-", 24}, {"xoxr-", 24}, {"xoxs-", 24}, {"xoxe-", 24}, {"xapp-", 24}, // of Slack
	{"sk_live_", 24}, {"sk_test_", 24}, {"rk_live_", 24}, {"rk_test_", 24}, {"pk_live_", 24}, {"whsec_", 24}, // of Stripe
	{"AIza", 39}, {"ya29.", 30}, {"GOCSPX-", 28}, // of Google
	{"sk-ant-", 24}, {"sk-proj-", 24}, {"sk-", 40}, {"hf_", 30}, {"SG.", 40}, {"npm_", 40}, {"pypi-", 40}, {"dop_v1_", 60}, {"shpat_", 38},
	{"dckr_pat_", 30}, {"EAACEdEose0cBA", 20}, {"lin_api_", 40}, {"hvs.", 30}, {"age-secret-key-1", 60}, {"AGE-SECRET-KEY-1", 60}, {"figd_", 40},
}

// knownPrefix returns how long the prefix is that tells what s is; 0 when there is none.
func knownPrefix(s string) int {
	if len(s) < 20 {
		return 0
	}
	for _, k := range knownPrefixes {
		if s[0] == k.prefix[0] && len(s) >= k.least && strings.HasPrefix(s, k.prefix) {
			return len(k.prefix)
		}
	}
	return 0
}
