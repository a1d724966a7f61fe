package redact

// Kind says what a secret is.
type Kind uint8

// The kinds, as Rules name them.
const (
	Password Kind = iota
	User
	Cookie
	Token // what lets in who has it: a bearer token, an API key, a signature
	Session
	JWT
	PrivateKey
	Email
	Card
	Phone
	Host
	Address // of IP or of a network interface
	Validator
	Nonce // what a server makes up and a client says again
	Text  // what only a Rule knows, and what may be anything
	kindCount
)

var kindNames = [kindCount]string{
	"password", "user", "cookie", "token", "session", "jwt", "private-key", "email", "card", "phone", "host", "address", "validator", "nonce", "text",
}

func (k Kind) String() string { return kindNames[k] }

// ParseKind returns the kind of that name.
func ParseKind(name string) (Kind, bool) {
	for k, n := range kindNames {
		if n == name {
			return Kind(k), true
		}
	}
	return 0, false
}
