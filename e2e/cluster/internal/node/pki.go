package node

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

// lifetime of all certificates: a cluster is not meant to last, but nobody should have to renew one.
const lifetime = 10 * 365 * 24 * time.Hour

// pair is a certificate with its private key, both as PEM.
type pair struct {
	cert, key []byte
}

// authority signs certificates.
type authority struct {
	pair
	parsed *x509.Certificate
	signer *ecdsa.PrivateKey
}

// subject says what a certificate is for.
type subject struct {
	name   string
	groups []string
	// hosts are names and addresses of a server; a client's certificate has none.
	hosts []string
}

// newAuthority makes a self-signed certificate authority.
func newAuthority(name string) (*authority, error) {
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	ca := &authority{}
	var err error
	if ca.signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, fmt.Errorf("failed to make the key of %s: %w", name, err)
	}
	if ca.pair, err = sign(template, template, ca.signer, ca.signer); err != nil {
		return nil, err
	}
	block, _ := pem.Decode(ca.cert)
	if ca.parsed, err = x509.ParseCertificate(block.Bytes); err != nil {
		return nil, fmt.Errorf("failed to read back the certificate of %s: %w", name, err)
	}
	return ca, nil
}

// issue makes a client's certificate, or a server's when the subject has hosts.
func (ca *authority) issue(who subject) (pair, error) {
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: who.name, Organization: who.groups},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if len(who.hosts) > 0 {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	for _, host := range who.hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair{}, fmt.Errorf("failed to make the key of %s: %w", who.name, err)
	}
	return sign(template, ca.parsed, key, ca.signer)
}

func sign(template, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) (pair, error) {
	name := template.Subject.CommonName
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return pair{}, fmt.Errorf("failed to draw a serial number for %s: %w", name, err)
	}
	template.SerialNumber = serial
	// An hour back: the clock of a virtual machine may be set after this.
	template.NotBefore = time.Now().Add(-time.Hour)
	template.NotAfter = template.NotBefore.Add(lifetime)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return pair{}, fmt.Errorf("failed to sign the certificate of %s: %w", name, err)
	}
	private, err := encodeKey(key)
	if err != nil {
		return pair{}, fmt.Errorf("failed to encode the key of %s: %w", name, err)
	}
	return pair{cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), key: private}, nil
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}

func kubeletServer(m Member) subject {
	return subject{name: "kubelet", hosts: []string{m.NodeName(), m.NodeIP()}}
}

// writePki makes all keys, certificates and kubeconfigs of a cluster.
func writePki(l Layout) error {
	ca, err := newAuthority("atelier")
	if err != nil {
		return err
	}
	// Aggregated APIs trust headers of whoever this authority vouches for, so it must be one of its own.
	front, err := newAuthority("atelier-front-proxy")
	if err != nil {
		return err
	}
	files := map[string]pair{"ca": ca.pair, "front-proxy-ca": front.pair}
	apiHosts := []string{
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
		"localhost", "127.0.0.1", l.NodeIP(), l.APIServiceIP(),
	}
	for name, want := range map[string]struct {
		ca  *authority
		who subject
	}{
		"apiserver":                {ca, subject{name: "kube-apiserver", hosts: apiHosts}},
		"kubelet":                  {ca, kubeletServer(l.first())},
		"kubelet-2":                {ca, kubeletServer(l.second())},
		"apiserver-kubelet-client": {ca, subject{name: "kube-apiserver-kubelet-client", groups: []string{"system:masters"}}},
		"front-proxy-client":       {front, subject{name: "front-proxy-client"}},
	} {
		if files[name], err = want.ca.issue(want.who); err != nil {
			return err
		}
	}
	tokens, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("failed to make the key of service account tokens: %w", err)
	}
	tokenKey, err := encodeKey(tokens)
	if err != nil {
		return fmt.Errorf("failed to encode the key of service account tokens: %w", err)
	}
	files["service-account"] = pair{key: tokenKey}
	for name, file := range files {
		if err := writeFile(l.Pki(name+".key"), file.key); err != nil {
			return err
		}
		if file.cert == nil {
			continue
		}
		if err := writeFile(l.Pki(name+".crt"), file.cert); err != nil {
			return err
		}
	}
	return writeKubeconfigs(l, ca)
}
