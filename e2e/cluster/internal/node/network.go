package node

import (
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/vishvananda/netlink"
)

// nodeLink is the node's end of the veth pair.
const nodeLink = "eth0"

// linkBits is the size of the range that holds the machine's address and those of the nodes.
const linkBits = 29

// freeNetwork finds address ranges that this machine does not use.
func freeNetwork() (int, error) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return 0, fmt.Errorf("failed to list this machine's addresses: %w", err)
	}
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return 0, fmt.Errorf("failed to list this machine's routes: %w", err)
	}
	var used []*net.IPNet
	for _, address := range addresses {
		if block, ok := address.(*net.IPNet); ok {
			used = append(used, block)
		}
	}
	for _, route := range routes {
		if route.Dst != nil {
			used = append(used, route.Dst)
		}
	}
	number, ok := pickNetwork(used)
	if !ok {
		return 0, errors.New("failed to find free addresses: 10.77.0.0/16 to 10.79.0.0/16 are all in use")
	}
	return number, nil
}

// pickNetwork returns the lowest number whose ranges overlap with nothing but a default route.
func pickNetwork(used []*net.IPNet) (int, bool) {
	for number := range Networks {
		if !overlaps(Layout{Network: number}.ranges(), used) {
			return number, true
		}
	}
	return 0, false
}

func overlaps(wanted, used []*net.IPNet) bool {
	for _, block := range used {
		if ones, _ := block.Mask.Size(); ones == 0 {
			continue
		}
		for _, want := range wanted {
			if want.Contains(block.IP) || block.Contains(want.IP) {
				return true
			}
		}
	}
	return false
}

// ranges of the link, the Services and the pods.
func (l Layout) ranges() []*net.IPNet {
	return []*net.IPNet{mustParse(fmt.Sprintf("%s/%d", l.HostIP(), linkBits)), mustParse(l.ServiceCIDR()), mustParse(l.PodCIDR())}
}

// mustParse reads an address range that this package wrote.
func mustParse(text string) *net.IPNet {
	_, block, err := net.ParseCIDR(text)
	if err != nil {
		panic(err)
	}
	return block
}

// joinNetwork connects a new network namespace to this machine: a veth pair, and routes to Services and pods.
// All of it goes when the namespace goes.
func joinNetwork(l Layout, pid int) error {
	veth := &netlink.Veth{
		LinkAttrs:     netlink.LinkAttrs{Name: l.HostLink()},
		PeerName:      nodeLink,
		PeerNamespace: netlink.NsPid(pid),
	}
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("failed to create the link %s: %w", l.HostLink(), err)
	}
	link, err := raise(l.HostLink(), l.HostIP())
	if err != nil {
		return err
	}
	for _, target := range []string{l.ServiceCIDR(), l.PodCIDR()} {
		route := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: mustParse(target), Gw: net.ParseIP(l.NodeIP())}
		if err := netlink.RouteAdd(route); err != nil {
			return fmt.Errorf("failed to add the route to %s: %w", target, err)
		}
	}
	return nil
}

// setUpNetwork is the other half, run inside. There is no default route: nothing in the cluster leaves the machine.
func setUpNetwork(l Layout) error {
	loopback, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("failed to find the link lo: %w", err)
	}
	if err := netlink.LinkSetUp(loopback); err != nil {
		return fmt.Errorf("failed to raise the link lo: %w", err)
	}
	link, err := raise(nodeLink, l.NodeIP())
	if err != nil {
		return err
	}
	if err := addAddress(link, l.second().NodeIP()); err != nil {
		return err
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0); err != nil {
		return fmt.Errorf("failed to let the node forward packets: %w", err)
	}
	return nil
}

func raise(name, ip string) (netlink.Link, error) {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("failed to find the link %s: %w", name, err)
	}
	if err := addAddress(link, ip); err != nil {
		return nil, err
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return nil, fmt.Errorf("failed to raise the link %s: %w", name, err)
	}
	return link, nil
}

func addAddress(link netlink.Link, ip string) error {
	address := &netlink.Addr{IPNet: &net.IPNet{IP: net.ParseIP(ip), Mask: net.CIDRMask(linkBits, 32)}}
	if err := netlink.AddrAdd(link, address); err != nil {
		return fmt.Errorf("failed to give the link %s its address %s: %w", link.Attrs().Name, ip, err)
	}
	return nil
}

// removeLink removes the machine's end, in case the kernel has not yet done so with the namespace.
func removeLink(l Layout) error {
	link, err := netlink.LinkByName(l.HostLink())
	var missing netlink.LinkNotFoundError
	if errors.As(err, &missing) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("failed to find the link %s: %w", l.HostLink(), err)
	}
	if err := netlink.LinkDel(link); err != nil {
		if _, err := netlink.LinkByName(l.HostLink()); errors.As(err, &missing) {
			return nil
		}
		return fmt.Errorf("failed to remove the link %s: %w", l.HostLink(), err)
	}
	return nil
}
