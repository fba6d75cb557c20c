package node

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"os"
	"regexp"
	"testing"
)

func parse(t *testing.T, p pair) *x509.Certificate {
	t.Helper()
	both, err := tls.X509KeyPair(p.cert, p.key)
	if err != nil {
		t.Fatal(err)
	}
	return both.Leaf
}

func TestIssue(t *testing.T) {
	ca, err := newAuthority("atelier")
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := newAuthority("atelier")
	if err != nil {
		t.Fatal(err)
	}
	serverPair, err := ca.issue(subject{name: "server", hosts: []string{"kubernetes", "10.78.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	clientPair, err := ca.issue(subject{name: "admin", groups: []string{"system:masters"}})
	if err != nil {
		t.Fatal(err)
	}
	server, client := parse(t, serverPair), parse(t, clientPair)
	if got := client.Subject; got.CommonName != "admin" || len(got.Organization) != 1 || got.Organization[0] != "system:masters" {
		t.Errorf("the API server would take the client for %v", got)
	}
	for name, test := range map[string]struct {
		certificate *x509.Certificate
		ca          *authority
		host        string
		usage       x509.ExtKeyUsage
		valid       bool
	}{
		"name":                   {server, ca, "kubernetes", x509.ExtKeyUsageServerAuth, true},
		"address":                {server, ca, "10.78.0.1", x509.ExtKeyUsageServerAuth, true},
		"other name":             {server, ca, "other", x509.ExtKeyUsageServerAuth, false},
		"server as a client":     {server, ca, "", x509.ExtKeyUsageClientAuth, false},
		"client":                 {client, ca, "", x509.ExtKeyUsageClientAuth, true},
		"client as a server":     {client, ca, "", x509.ExtKeyUsageServerAuth, false},
		"authority of that name": {client, stranger, "", x509.ExtKeyUsageClientAuth, false},
	} {
		t.Run(name, func(t *testing.T) {
			roots := x509.NewCertPool()
			roots.AddCert(test.ca.parsed)
			_, err := test.certificate.Verify(x509.VerifyOptions{Roots: roots, DNSName: test.host, KeyUsages: []x509.ExtKeyUsage{test.usage}})
			if (err == nil) != test.valid {
				t.Errorf("got %v, want valid %v", err, test.valid)
			}
		})
	}
}

func TestWritePki(t *testing.T) {
	l := Layout{Dir: t.TempDir(), Network: 3}
	if err := writePki(l); err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	authority, err := os.ReadFile(l.Pki("ca.crt"))
	if err != nil || !roots.AppendCertsFromPEM(authority) {
		t.Fatalf("failed to read the authority: %v", err)
	}
	server, err := tls.LoadX509KeyPair(l.Pki("apiserver.crt"), l.Pki("apiserver.key"))
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{l.NodeIP(), l.APIServiceIP(), "127.0.0.1", "kubernetes.default.svc"} {
		if _, err := server.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: host}); err != nil {
			t.Errorf("the API server's certificate is not valid for %s: %v", host, err)
		}
	}
	info, err := os.Stat(l.Kubeconfig())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others may read the administrator's credentials: %v, %v", info, err)
	}
	config, err := os.ReadFile(l.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	var admin pair
	for field, target := range map[string]*[]byte{"certificate": &admin.cert, "key": &admin.key} {
		match := regexp.MustCompile(`client-` + field + `-data: (\S+)`).FindSubmatch(config)
		if match == nil {
			t.Fatalf("no client-%s-data in:\n%s", field, config)
		}
		if *target, err = base64.StdEncoding.DecodeString(string(match[1])); err != nil {
			t.Fatal(err)
		}
	}
	if got := parse(t, admin).Subject.Organization; len(got) != 1 || got[0] != "system:masters" {
		t.Errorf("the administrator is in %q", got)
	}
}
