package wire

import "strconv"

// Keys names every key of one application. All share one hash tag, so that a
// cluster keeps them on one node, where one script may touch them all.
type Keys struct{ prefix string }

// KeysOf are the keys of an application.
func KeysOf(app string) Keys { return Keys{"identify:{" + app + "}:"} }

// Limits is the key of the limits.
func (k Keys) Limits() string { return k.prefix + "limits" }

// Remaining is the key of what is left of the budget.
func (k Keys) Remaining() string { return k.prefix + "remaining" }

// Slot is the key that exists while a bucket is closed.
func (k Keys) Slot(bucket int) string { return k.prefix + "slot:" + strconv.Itoa(bucket) }

// Paid is the key of what is known of a ticket, or of the wait that it is one of
// several of.
func (k Keys) Paid(ticket string) string {
	if wait, _ := WaitOf(ticket); wait != "" {
		ticket = wait
	}
	return k.prefix + "paid:" + ticket
}

// Shared is the key of what servers keep for each other.
func (k Keys) Shared(name string) string { return k.prefix + "shared:" + name }

// of are the keys that a script's head names, of a bucket and of a ticket where
// they are about one.
func (k Keys) of(names []string, bucket int, ticket string) []string {
	list := make([]string, len(names))
	for i, name := range names {
		switch name {
		case "slot", "queue":
			list[i] = k.prefix + name + ":" + strconv.Itoa(bucket)
		case "paid":
			list[i] = k.Paid(ticket)
		default:
			list[i] = k.prefix + name
		}
	}
	return list
}
