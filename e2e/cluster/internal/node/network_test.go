package node

import (
	"net"
	"testing"
)

func TestPickNetwork(t *testing.T) {
	for name, test := range map[string]struct {
		used   []string
		number int
		found  bool
	}{
		"nothing used":         {nil, 0, true},
		"default route":        {[]string{"0.0.0.0/0"}, 0, true},
		"others' networks":     {[]string{"192.168.0.0/16", "10.76.0.0/16"}, 0, true},
		"one cluster runs":     {[]string{"10.77.0.0/30", "10.78.0.0/24", "10.79.0.0/24"}, 1, true},
		"pods of 0, link of 1": {[]string{"10.79.0.0/24", "10.77.1.1/32"}, 2, true},
		"all of it":            {[]string{"10.0.0.0/8"}, 0, false},
		"IPv6":                 {[]string{"fd00::/8"}, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			var used []*net.IPNet
			for _, text := range test.used {
				used = append(used, mustParse(text))
			}
			number, found := pickNetwork(used)
			if found != test.found || found && number != test.number {
				t.Errorf("got %d, %v; want %d, %v", number, found, test.number, test.found)
			}
		})
	}
}
