package tls

import (
	"crypto/x509"
	"strconv"
	"time"
)

// maxCertificates bounds the certificates of a chain that are told of, and maxNames
// the names of one: chains have two to four, certificates up to a hundred names.
const (
	maxCertificates = 8
	maxNames        = 100
)

// Certificate is what a certificate says of its holder, as far as it is told.
type Certificate struct {
	Subject, Issuer     string   // the common name, or all of the name when it has none
	Names               []string // those that it is for, and addresses
	MoreNames           int      // that are not listed
	NotBefore, NotAfter time.Time
	Why                 string // it could not be read; then nothing else is set
}

// held is about how much memory it takes.
func (c *Certificate) held() int {
	n := 160 + len(c.Subject) + len(c.Issuer) + len(c.Why)
	for _, name := range c.Names {
		n += 16 + len(name)
	}
	return n
}

// parseCertificates reads a Certificate message: RFC 8446, section 4.4.2, where
// there is a context before, and extensions behind each; or RFC 5246, section 7.4.2.
func parseCertificates(b []byte, tls13 bool) []Certificate {
	var bad bool
	r := reader{b, &bad}
	if tls13 {
		r.list(1)
	}
	var out []Certificate
	for all := r.list(3); len(all.b) > 0 && len(out) < maxCertificates; {
		der := all.list(3)
		if tls13 {
			all.list(2)
		}
		if bad {
			break
		}
		out = append(out, parseCertificate(der.b))
	}
	return out
}

func parseCertificate(der []byte) Certificate {
	x, err := x509.ParseCertificate(der)
	if err != nil {
		return Certificate{Why: "a certificate of " + strconv.Itoa(len(der)) + " bytes that can't be read"}
	}
	c := Certificate{Subject: x.Subject.CommonName, Issuer: x.Issuer.CommonName, NotBefore: x.NotBefore.UTC(), NotAfter: x.NotAfter.UTC()}
	if c.Subject == "" {
		c.Subject = x.Subject.String()
	}
	if c.Issuer == "" {
		c.Issuer = x.Issuer.String()
	}
	add := func(name string) {
		if len(c.Names) < maxNames {
			c.Names = append(c.Names, name)
		} else {
			c.MoreNames++
		}
	}
	for _, name := range x.DNSNames {
		add(name)
	}
	for _, ip := range x.IPAddresses {
		add(ip.String())
	}
	return c
}
