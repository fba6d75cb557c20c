package node

import (
	"slices"
	"testing"
)

func TestMountsBelow(t *testing.T) {
	const mountinfo = `22 1 254:0 / / rw - ext4 /dev/vda rw
40 22 0:40 / /srv/cluster/run/a rw - tmpfs tmpfs rw
41 40 0:41 / /srv/cluster/run/a/b\040c rw shared:3 - tmpfs tmpfs rw
42 22 0:42 / /srv/cluster2/run rw - tmpfs tmpfs rw
43 22 0:43 / /srv/cluster rw - tmpfs tmpfs rw
short line
`
	for dir, want := range map[string][]string{
		"/srv/cluster":  {"/srv/cluster/run/a", "/srv/cluster/run/a/b c"},
		"/srv/cluster2": {"/srv/cluster2/run"},
		"/srv/other":    nil,
	} {
		if got := mountsBelow(mountinfo, dir); !slices.Equal(got, want) {
			t.Errorf("below %s: got %q, want %q", dir, got, want)
		}
	}
}
