// What a proxy tells: events as they happen, and counts.

package gatewayproxy

import "time"

// EventKind says what an [Event] reports.
type EventKind int

// The events of a proxy, in the order in which a shard has them.
const (
	EventHeld       EventKind = iota + 1 // IDENTIFY is held
	EventIdentified                      // it has left; Elapsed is how long it was held
	EventLeft                            // the bot does not wait any more; Elapsed is how long it did
	EventReady                           // READY has come; Elapsed is since IDENTIFY left
	EventResume                          // RESUME has passed
	EventResumed                         // RESUMED has come; Elapsed is since RESUME passed
	EventRefused                         // RESUME was refused (op 9)
	EventInvalid                         // IDENTIFY, or a session that was ready, was refused (op 9)
	EventReconnect                       // Discord wants a new connection (op 7)
	EventClosed                          // a connection has ended; Code and By say how
	EventStorm                           // Discord refuses sessions in numbers, across the fleet: see [WithStorm]
	EventStormOver                       // it is over; Elapsed is how long it was
)

var eventNames = [...]string{
	EventHeld: "held", EventIdentified: "identified", EventLeft: "left", EventReady: "ready", EventResume: "resume", EventResumed: "resumed",
	EventRefused: "refused", EventInvalid: "invalid", EventReconnect: "reconnect", EventClosed: "closed",
	EventStorm: "storm", EventStormOver: "storm over",
}

func (k EventKind) String() string {
	if k > 0 && int(k) < len(eventNames) {
		return eventNames[k]
	}
	return "unknown"
}

// Event is one thing that happened to a shard.
type Event struct {
	Kind    EventKind
	App     string // application's ID; empty where it is not known
	Shard   int    // -1 where it is not known
	Elapsed time.Duration
	Code    int    // of a close frame; 0 where there was none
	By      Closer // who has ended the connection
}

// Closer is who has ended a connection.
type Closer string

// The sides that can end it.
const (
	byBot     Closer = "bot"
	byDiscord Closer = "discord"
	byProxy   Closer = "proxy"
)

// Stats counts what has happened since the proxy began.
type Stats struct {
	Connections int `json:"connections"` // bots' that are open
	Held        int `json:"held"`        // IDENTIFYs that are held

	Accepted       int `json:"accepted"`        // connections that were opened
	Refused        int `json:"refused"`         // requests that were not, by the proxy or by Discord
	Identifies     int `json:"identifies"`      // IDENTIFYs that have left
	Resumes        int `json:"resumes"`         // RESUMEs that have passed
	RefusedResumes int `json:"refused_resumes"` // of those, how many Discord has refused (op 9)
	Invalid        int `json:"invalid"`         // other sessions that Discord has called invalid (op 9)
	Readies        int `json:"readies"`         // READYs that have come
	Rewritten      int `json:"rewritten"`       // of those, how many lead back to the proxy
	Unrewritten    int `json:"unrewritten"`     // how many do not: their sessions resume past it
	Redials        int `json:"redials"`         // connections to Discord that were replaced behind a bot's back
	FailedDials    int `json:"failed_dials"`    // to Discord

	BytesToBots    int64 `json:"bytes_to_bots"`
	BytesToDiscord int64 `json:"bytes_to_discord"`
}
