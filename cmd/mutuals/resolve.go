package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"mutuals/node/api"
)

// group finds the group a person means: by its id, its name, or the beginning
// of either that fits one group only. Groups one has left are looked at only
// when no other fits.
func (c *cli) group(ctx context.Context, typed string) (api.Group, error) {
	client, err := c.connect(ctx)
	if err != nil {
		return api.Group{}, err
	}
	all, err := client.Groups(ctx)
	if err != nil {
		return api.Group{}, err
	}
	var here, gone []api.Group
	for _, g := range all {
		if g.Status == api.MemberLeft || g.Status == api.MemberRemoved {
			gone = append(gone, g)
		} else {
			here = append(here, g)
		}
	}
	names := func(g api.Group) []string {
		names := []string{g.ID.String(), g.Name}
		if g.Direct != nil {
			names = append(names, g.Direct.Account.String())
			for _, id := range g.Direct.Also {
				names = append(names, id.String())
			}
		}
		return names
	}
	found := match(typed, here, names)
	if len(found) == 0 {
		found = match(typed, gone, names)
	}
	return only(typed, "group", "mutuals group list", found, func(g api.Group) string {
		return fmt.Sprintf("%s (%s)", oneLine(nameOfGroup(g)), short(g.ID))
	})
}

// person finds the account a person means, by its id, its name or nickname;
// who is neither followed nor follows is looked for in the groups.
func (c *cli) person(ctx context.Context, typed string) (p api.Person, err error) {
	if p.Account.UnmarshalText([]byte(typed)) == nil {
		return p, nil
	}
	client, err := c.connect(ctx)
	if err != nil {
		return p, err
	}
	people, err := client.People(ctx)
	if err != nil {
		return p, err
	}
	names := func(p api.Person) []string { return []string{p.Account.String(), p.Name, p.Nickname} }
	found := match(typed, people, names)
	if len(found) == 0 {
		others, err := c.neighbours(ctx)
		if err != nil {
			return p, err
		}
		found = match(typed, others, names)
	}
	return only(typed, "person", "mutuals follows", found, func(p api.Person) string {
		return fmt.Sprintf("%s (%s)", oneLine(p.Name), short(p.Account))
	})
}

// neighbours lists who shares a group with this account, each once.
func (c *cli) neighbours(ctx context.Context) ([]api.Person, error) {
	groups, err := c.client.Groups(ctx)
	if err != nil {
		return nil, err
	}
	var out []api.Person
	for _, g := range groups {
		members, err := c.client.Members(ctx, g.ID)
		if err != nil {
			return nil, err
		}
		for _, m := range members {
			if !slices.ContainsFunc(out, func(p api.Person) bool { return p.Account == m.Account }) {
				out = append(out, api.Person{Account: m.Account, Name: m.Name})
			}
		}
	}
	return out, nil
}

// member finds the account a person means among a group's members.
func (c *cli) member(ctx context.Context, g api.Group, typed string) (m api.Member, err error) {
	if m.Account.UnmarshalText([]byte(typed)) == nil {
		return m, nil
	}
	client, err := c.connect(ctx)
	if err != nil {
		return m, err
	}
	members, err := client.Members(ctx, g.ID)
	if err != nil {
		return m, err
	}
	found := match(typed, members, func(m api.Member) []string { return []string{m.Account.String(), m.Name} })
	return only(typed, "member", "mutuals members list GROUP", found, func(m api.Member) string {
		return fmt.Sprintf("%s (%s)", oneLine(m.Name), short(m.Account))
	})
}

// match returns the items one of whose names is typed; else those where it is
// in another case; else those where a name begins with it.
func match[T any](typed string, items []T, names func(T) []string) []T {
	low := strings.ToLower(typed)
	for _, fits := range []func(name string) bool{
		func(name string) bool { return name == typed },
		func(name string) bool { return strings.ToLower(name) == low },
		func(name string) bool { return strings.HasPrefix(strings.ToLower(name), low) },
	} {
		var found []T
		for _, item := range items {
			for _, name := range names(item) {
				if typed != "" && fits(name) {
					found = append(found, item)
					break
				}
			}
		}
		if len(found) > 0 {
			return found
		}
	}
	return nil
}

// only returns the one item found, or says that there is none or which there
// are.
func only[T any](typed, what, list string, found []T, tell func(T) string) (one T, err error) {
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return one, notFound("list them: "+list, "there is no %s %q", what, typed)
	}
	choices := make([]string, len(found))
	for i, f := range found {
		choices[i] = tell(f)
	}
	return one, usage("give more letters, or the id", "%q could be any of: %s", typed, strings.Join(choices, ", "))
}
