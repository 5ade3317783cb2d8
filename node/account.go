package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"mutuals/identity"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// CreateIdentity makes an account, or takes one up again from its words, and a
// device of it, and starts the node. Words make a new device: no device key is
// ever restored.
func (n *Node) CreateIdentity(ctx context.Context, in api.IdentityCreate) (api.Identity, error) {
	if !n.beginning.TryLock() {
		return api.Identity{}, api.NewProblem(api.NotAllowed).Explain("an identity is being made here already")
	}
	defer n.beginning.Unlock()
	if n.begun.Load() {
		return api.Identity{}, api.NewProblem(api.NotAllowed).Explain("this node has an identity already")
	}
	name := strings.TrimSpace(in.Name)
	if name == "" {
		return api.Identity{}, api.NewProblem(api.BadRequest).Explain("a name is needed")
	}
	entropy, err := n.entropy(in.Words)
	if err != nil {
		return api.Identity{}, err
	}
	if err := n.clearHome(); err != nil {
		return api.Identity{}, err
	}
	dev, err := n.newDevice(entropy, in.Words == "")
	if err != nil {
		return api.Identity{}, err
	}
	if in.Words != "" {
		n.beginRestored()
	}
	if err := n.begin(dev); err != nil {
		return api.Identity{}, errors.Join(err, n.unbegin())
	}
	if _, err := n.SetProfile(ctx, api.ProfilePatch{Name: &name}); err != nil {
		return api.Identity{}, err
	}
	out, err := n.Identity(ctx)
	if in.Words == "" {
		out.Words = entropy.Words()
	}
	return out, err
}

// unbegin takes an identity back that did not come up: its words were told to
// nobody, its device to nobody. keys.sealed goes first, as it came last.
func (n *Node) unbegin() error {
	var errs []error
	if n.mesh != nil {
		errs = append(errs, n.mesh.Close())
	}
	if n.store != nil {
		errs = append(errs, n.store.Close())
	}
	n.dev, n.mesh, n.store, n.people, n.devices, n.restored = nil, nil, nil, nil, nil, nil
	errs = append(errs, n.home.remove(fileKeys))
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return n.clearHome()
}

func (n *Node) entropy(words string) (identity.Entropy, error) {
	if words == "" {
		return identity.NewEntropy(n.cfg.Rand)
	}
	e, err := identity.ParseWords(words)
	var w *identity.WordsError
	if errors.As(err, &w) {
		// What was typed is not repeated: an answer may be logged somewhere.
		switch w.Reason {
		case identity.WordsUnknown:
			return e, api.NewProblem(api.BadRequest).Explain("word %d is not a word of the list: check it against what you wrote down", w.Position)
		case identity.WordsCount:
			return e, api.NewProblem(api.BadRequest).Explain("%d words instead of 24", w.Found)
		}
		return e, api.NewProblem(api.BadRequest).Explain("the 24 words do not belong together: one is another word of the list, or two changed places")
	}
	return e, err
}

// newDevice makes the keys of a device, has the root certify them, and writes
// them to the home. The root key is kept sealed until its words were confirmed,
// and not at all when they were typed in.
func (n *Node) newDevice(e identity.Entropy, keepRoot bool) (*device, error) {
	dev, err := n.certify(e, keepRoot)
	if err != nil {
		return nil, err
	}
	// Last: a home with keys.sealed is a home with an identity.
	return dev, n.writeKeys(dev)
}

// certify makes a device and writes all of it but its keys.
func (n *Node) certify(e identity.Entropy, keepRoot bool) (*device, error) {
	root := e.Root()
	keys, err := identity.NewDeviceKeys(n.cfg.Rand)
	if err != nil {
		return nil, err
	}
	cert := identity.Certificate{V: 1, Account: root.Account(), OpKey: keys.ID(), PeerKey: keys.PeerKey(), DeviceNo: 1, Caps: identity.CapAddDevices, IssuedMs: n.nowMs()}
	dev := &device{keys: keys, chain: identity.Chain{root.Certify(cert)}, pop: keys.Prove(cert)}
	if dev.secrets, err = identity.NewSecrets(n.cfg.Rand, keys); err != nil {
		return nil, err
	}
	if keepRoot {
		sealed, eraseKey, err := identity.SealRoot(n.cfg.Rand, e)
		if err != nil {
			return nil, err
		}
		dev.secrets.RootEraseKey = eraseKey
		if err := n.home.write(fileRoot, sealed); err != nil {
			return nil, err
		}
	}
	if err := n.keepRecipient(e); err != nil {
		return nil, err
	}
	return dev, n.home.write(fileDevice, wire.Marshal(deviceFile{V: 1, Chain: dev.chain, Pop: dev.pop}))
}

func (n *Node) writeKeys(dev *device) error {
	b, err := identity.SealKeys(n.cfg.Rand, dev.secrets, identity.Unprotected())
	if err != nil {
		return err
	}
	return n.home.write(fileKeys, b)
}

// readDevice reads the device of this home; fs.ErrNotExist if there is none.
func (n *Node) readDevice() (*device, error) {
	sealed, err := n.home.read(fileKeys)
	if err != nil {
		return nil, err
	}
	b, err := n.home.read(fileDevice)
	if err != nil {
		return nil, fmt.Errorf("reading the device certificate: %v", err)
	}
	secrets, err := identity.OpenKeys(sealed, nil)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", fileKeys, err)
	}
	var f deviceFile
	if err := wire.Unmarshal(b, &f); err != nil {
		return nil, fmt.Errorf("reading %s: %w", fileDevice, err)
	}
	leaf, err := f.Chain.Verify()
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", fileDevice, err)
	}
	keys := identity.DeviceKeysFromSeeds(secrets.OpSeed, secrets.PeerSeed)
	if leaf.OpKey != keys.ID() || leaf.PeerKey != keys.PeerKey() {
		return nil, fmt.Errorf("%s and %s belong to different devices", fileKeys, fileDevice)
	}
	return &device{keys: keys, chain: f.Chain, pop: f.Pop, secrets: secrets}, nil
}

// Identity returns the account and device this node speaks for.
func (n *Node) Identity(ctx context.Context) (api.Identity, error) {
	if !n.begun.Load() {
		return api.Identity{}, api.NewProblem(api.NoIdentity)
	}
	card, err := n.Card(ctx)
	if err != nil {
		return api.Identity{}, err
	}
	return api.Identity{Account: n.dev.account(), Device: n.dev.id(), Name: n.ownName(), Card: card.Text}, nil
}

// ConfirmWords returns the words as long as they were not confirmed; with
// confirmed set it erases them from this machine.
func (n *Node) ConfirmWords(_ context.Context, confirmed bool) (api.Words, error) {
	if !n.begun.Load() {
		return api.Words{}, api.NewProblem(api.NoIdentity)
	}
	n.beginning.Lock()
	defer n.beginning.Unlock()
	sealed, err := n.home.read(fileRoot)
	if errors.Is(err, fs.ErrNotExist) || len(n.dev.secrets.RootEraseKey) == 0 {
		return api.Words{Confirmed: true}, nil
	}
	if err != nil {
		return api.Words{}, err
	}
	if !confirmed {
		e, err := identity.OpenRoot(n.dev.secrets.RootEraseKey, sealed)
		if err != nil {
			return api.Words{}, fmt.Errorf("opening %s: %w", fileRoot, err)
		}
		return api.Words{Words: e.Words()}, nil
	}
	// First the key that opens the file, then the file: whichever is left
	// after a power cut opens nothing.
	erased := *n.dev
	erased.secrets.RootEraseKey = nil
	if err := n.writeKeys(&erased); err != nil {
		return api.Words{}, err
	}
	n.dev.secrets.RootEraseKey = nil
	return api.Words{Confirmed: true}, n.home.remove(fileRoot)
}

// Card returns the contact card: what makes this account reachable for
// somebody who was never linked.
func (n *Node) Card(context.Context) (api.Card, error) {
	if !n.begun.Load() {
		return api.Card{}, api.NewProblem(api.NoIdentity)
	}
	card, err := identity.SignCard(n.dev.keys, n.dev.chain, n.ownName(), n.ownHints(), n.nowMs())
	if err != nil {
		return api.Card{}, fmt.Errorf("signing the card: %w", err)
	}
	return api.Card{Text: card.Text(), Link: card.Link()}, nil
}

// Profile returns what this account shows of itself.
func (n *Node) Profile(context.Context) (api.Profile, error) {
	if !n.begun.Load() {
		return api.Profile{}, api.NewProblem(api.NoIdentity)
	}
	out := api.Profile{Account: n.dev.account()}
	if p := n.ownProfile(); p != nil {
		out.Name, out.Bio = p.Profile.Name, p.Profile.Bio
	}
	return out, nil
}

// SetProfile changes the own profile, and tells contacts and groups.
func (n *Node) SetProfile(ctx context.Context, in api.ProfilePatch) (api.Profile, error) {
	if err := n.mayWrite(); err != nil {
		return api.Profile{}, err
	}
	name, bio, last := "", "", uint64(0)
	if p := n.ownProfile(); p != nil {
		name, bio, last = p.Profile.Name, p.Profile.Bio, p.Profile.N
	}
	if in.Name != nil {
		name = strings.TrimSpace(*in.Name)
	}
	if in.Bio != nil {
		bio = *in.Bio
	}
	p, err := identity.SignProfile(n.dev.keys, n.dev.chain, identity.NextN(last, n.nowMs()), name, bio, nil)
	if err != nil {
		return api.Profile{}, api.NewProblem(api.BadRequest).Explain("%v", err)
	}
	// Whoever merely follows gets it when it is followed back: anybody can make
	// followers, and each that something waits for is dialled.
	contacts := n.people.list((*person).following)
	err = n.store.Update(ctx, func(tx *store.Tx) error {
		if err := n.people.putProfile(tx, p); err != nil {
			return err
		}
		for _, c := range contacts {
			if c.Account != n.dev.account() {
				if err := n.queue(tx, c.Account, directProfile, "profile", wire.Marshal(p)); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return api.Profile{}, err
	}
	n.learnProfile(p)
	n.ownChanged()
	for _, c := range contacts {
		n.flush(c.Account)
	}
	for _, r := range n.openRooms() {
		if r.view.Load().seated() {
			r.tell(func(c *commit) error { return r.sayProfile(c) })
		}
	}
	return n.Profile(ctx)
}

func (n *Node) ownProfile() *identity.SignedProfile {
	n.people.mu.Lock()
	defer n.people.mu.Unlock()
	if p := n.people.byID[n.dev.account()]; p != nil {
		return p.profile
	}
	return nil
}

func (n *Node) ownName() string {
	if p := n.ownProfile(); p != nil {
		return p.Profile.Name
	}
	return ""
}

// queueProfile puts the own profile into somebody's outbox.
func (n *Node) queueProfile(tx *store.Tx, to wire.AccountID) error {
	p := n.ownProfile()
	if p == nil {
		return nil
	}
	return n.queue(tx, to, directProfile, "profile", wire.Marshal(*p))
}

func (n *Node) storeProfile(ctx context.Context, p identity.SignedProfile) error {
	return n.store.Update(ctx, func(tx *store.Tx) error { return n.people.putProfile(tx, p) })
}
