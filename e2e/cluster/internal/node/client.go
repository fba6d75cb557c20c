package node

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// requestPatience is how long one request may take; every check is repeated.
const requestPatience = 5 * time.Second

// client asks the API server the few questions that `up` and `status` have.
type client struct {
	http   http.Client
	server string
}

// newClient uses the API server's own identity towards kubelets, which is an administrator's.
func newClient(l Layout) (*client, error) {
	identity, err := tls.LoadX509KeyPair(l.Pki("apiserver-kubelet-client.crt"), l.Pki("apiserver-kubelet-client.key"))
	if err != nil {
		return nil, fmt.Errorf("failed to load a client certificate: %w", err)
	}
	ca, err := os.ReadFile(l.Pki("ca.crt"))
	if err != nil {
		return nil, fmt.Errorf("failed to load the certificate authority: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	return &client{
		http: http.Client{
			Timeout:   requestPatience,
			Transport: &http.Transport{TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{identity}, RootCAs: roots}},
		},
		server: "https://" + l.APIServer(),
	}, nil
}

// get returns the body of a successful answer.
func (c *client) get(path string) ([]byte, error) {
	answer, err := c.http.Get(c.server + path)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s", path, answer.Status)
	}
	return body, nil
}

// apiReady checks that all start-up hooks of the API server have run.
func (c *client) apiReady() error {
	_, err := c.get("/readyz")
	return err
}

// nodeReady checks that a kubelet can run pods.
func (c *client) nodeReady(m Member) error {
	body, err := c.get("/api/v1/nodes/" + m.NodeName())
	if err != nil {
		return err
	}
	return nodeCondition(body, m.Taint())
}

// nodeCondition judges a Node as the API server returns it; `taint` is one that it may have.
func nodeCondition(body []byte, taint string) error {
	var node struct {
		Spec struct {
			Taints []struct{ Key string }
		}
		Status struct {
			Conditions []struct{ Type, Status, Message string }
		}
	}
	if err := json.Unmarshal(body, &node); err != nil {
		return fmt.Errorf("failed to parse the node: %w", err)
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type != "Ready" {
			continue
		}
		if condition.Status != "True" {
			return fmt.Errorf("the node is not ready: %s", condition.Message)
		}
		for _, found := range node.Spec.Taints {
			if found.Key != taint {
				return fmt.Errorf("the node has the taint %s", found.Key)
			}
		}
		return nil
	}
	return fmt.Errorf("the node has not reported yet")
}

// serviceAccountReady checks for what pods need besides a node: the identity and the authority's certificate.
func (c *client) serviceAccountReady() error {
	for _, path := range []string{"serviceaccounts/default", "configmaps/kube-root-ca.crt"} {
		if _, err := c.get("/api/v1/namespaces/default/" + path); err != nil {
			return err
		}
	}
	return nil
}

// resolve asks the cluster's name server from this machine: it takes routes, kube-proxy and CoreDNS to answer.
func resolve(l Layout) error {
	ctx, cancel := context.WithTimeout(context.Background(), requestPatience)
	defer cancel()
	resolver := net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort(l.DNSServiceIP(), "53"))
		},
	}
	addresses, err := resolver.LookupHost(ctx, "kubernetes.default.svc.cluster.local.")
	if err != nil {
		return err
	}
	if len(addresses) != 1 || addresses[0] != l.APIServiceIP() {
		return fmt.Errorf("kubernetes.default is %v, not %s", addresses, l.APIServiceIP())
	}
	return nil
}
