package gatewayproxy

import "time"

// SetDialWithin sets for how long a permit is kept for a connection to Discord. Call it
// before there is any.
func SetDialWithin(d time.Duration) { dialWithin = d }
