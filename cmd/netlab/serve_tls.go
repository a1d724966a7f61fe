package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
)

// serverTLSFlags say how a stand-in speaks TLS.
var serverTLSFlags = []cli.Flag{
	&cli.BoolFlag{Name: "tls", Usage: "speak TLS: with --cert, or a certificate made for the names listened on, whose fingerprint is told"},
	&cli.StringFlag{Name: "cert", Usage: "with --tls: show the certificate in `FILE`"},
	&cli.StringFlag{Name: "key", Usage: "with --tls: the key of --cert is in `FILE`, if not there"},
	&cli.StringSliceFlag{Name: "name", Usage: "with --tls: make the certificate for `NAME` too; may be given several times"},
	&cli.StringFlag{Name: "write-cert", Usage: "with --tls: write the certificate that was made to `FILE`, for clients to trust"},
}

// serverTLS reads the flags about TLS; nil is without.
func (std stdio) serverTLS(c *cli.Context) (*tls.Config, error) {
	if !c.Bool("tls") {
		for _, name := range []string{"cert", "key", "name", "write-cert"} {
			if c.IsSet(name) {
				return nil, usagef("netlab serve: --%s makes sense only with --tls", name)
			}
		}
		return nil, nil
	}
	config := &tls.Config{NextProtos: []string{"http/1.1"}}
	if cert := c.String("cert"); cert != "" {
		if c.IsSet("name") || c.IsSet("write-cert") {
			return nil, usagef("netlab serve: --name and --write-cert are about a certificate that is made, and there is --cert")
		}
		key := c.String("key")
		if key == "" {
			key = cert
		}
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("serve: load the certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
		return config, nil
	}
	if c.IsSet("key") {
		return nil, usagef("netlab serve: --key belongs to a --cert")
	}
	pair, err := makeCertificate(certificateNames(c), time.Now())
	if err != nil {
		return nil, fmt.Errorf("serve: make a certificate: %w", err)
	}
	config.Certificates = []tls.Certificate{pair}
	fmt.Fprintf(std.err, "netlab: made a certificate; its SHA-256 fingerprint is %s\n", fingerprint(pair.Certificate[0]))
	if file := c.String("write-cert"); file != "" {
		text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})
		if err := os.WriteFile(file, text, 0o644); err != nil {
			return nil, fmt.Errorf("serve: write the certificate: %w", err)
		}
	}
	return config, nil
}

// certificateNames are the names that are listened on, and those of this machine for
// itself.
func certificateNames(c *cli.Context) []string {
	names := append([]string{"localhost", "127.0.0.1", "::1"}, c.StringSlice("name")...)
	addrs := []string{c.String("listen")}
	for _, m := range c.StringSlice("map") {
		_, at, _ := strings.Cut(m, "=")
		addrs = append(addrs, at)
	}
	for _, a := range addrs {
		if host, _, err := net.SplitHostPort(a); err == nil && host != "" {
			names = append(names, host)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// certificateLife is how long a certificate is good for that is made: a test, not more.
const certificateLife = 7 * 24 * time.Hour

// makeCertificate makes a certificate for some names and addresses that vouches for
// itself.
func makeCertificate(names []string, now time.Time) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return tls.Certificate{}, err
	}
	t := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "netlab serve"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certificateLife),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IsCA: true, BasicConstraintsValid: true, // so that a client can be told to trust it
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// fingerprint is the SHA-256 of a certificate, as openssl and browsers write it.
func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":")
}
