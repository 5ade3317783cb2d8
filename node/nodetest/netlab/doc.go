// Package netlab builds small networks out of Linux network namespaces: real
// processes on real interfaces with real cables between them, which a test
// pulls and plugs. Tests only.
//
// It owns namespaces, bridges and veth pairs, and nothing else: what runs on a
// host is the test's. Nothing of a lab is in the machine's own namespace, no
// address of a lab is reached from outside, and what a lab made is gone when
// its test ends. A test process that is killed leaves its namespaces behind;
// the next lab finds them by the dead process in their names and removes them,
// with what still runs inside.
//
// Begin with [New]. A [Lab] has any number of [Switch]es; a [Host] hangs on a
// switch by a [Link], and [Lab.Trunk] is a link between two switches. Links go
// up and down, which both ends see as a cable pulled; [Switch.Split] parts the
// hosts of one switch without any of them noticing at its own port, as when
// something far away breaks. [Lab.Internet] is a switch whose hosts have
// addresses that look public; a [Router] on it translates those of the hosts
// behind it, as a cone or as a symmetric one, and lets nobody in unasked.
// [Host.Move] takes a machine to another switch, where it gets another address.
//
// A worked trace:
//
//	lab := netlab.New(t)                 // skips without the rights; fails in make test-net
//	east, west := lab.Switch("east"), lab.Switch("west")
//	trunk := lab.Trunk(east, west)
//	ann, bo := east.Host("ann"), west.Host("bo")
//	cmd := ann.Command(ctx, "mutualsd", "--listen", "/ip4/"+ann.Addr.String()+"/tcp/0")
//	trunk.Down()                         // two halves that know nothing of each other
//	trunk.Up()                           // and meet again
//
// It needs Linux, root (CAP_SYS_ADMIN and CAP_NET_ADMIN), ip of iproute2, and
// bridge and veth in the kernel; for routers nft of nftables, and masquerading.
package netlab
