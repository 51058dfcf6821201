// The bodies of READY, of events and of REST answers: complete enough for real
// libraries, which rely on what Discord happens to send.

package gatewaytest

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// readyData is READY. Discord still sends the lists of accounts that are no bots,
// and libraries rely on them: eris on private_channels, discord.py on the avatar.
type readyData struct {
	Version              int                `json:"v"`
	Trace                []string           `json:"_trace"`
	UserSettings         struct{}           `json:"user_settings"`
	User                 user               `json:"user"`
	Guilds               []unavailableGuild `json:"guilds"`
	PrivateChannels      []any              `json:"private_channels"`
	Presences            []any              `json:"presences"`
	Relationships        []any              `json:"relationships"`
	GuildJoinRequests    []any              `json:"guild_join_requests"`
	GeoOrderedRTCRegions []string           `json:"geo_ordered_rtc_regions"`
	SessionType          string             `json:"session_type"`
	SessionID            string             `json:"session_id"`
	ResumeGatewayURL     string             `json:"resume_gateway_url"`
	Shard                [2]int             `json:"shard"`
	Application          readyApplication   `json:"application"`
}

type helloData struct {
	HeartbeatInterval int64    `json:"heartbeat_interval"` // milliseconds
	Trace             []string `json:"_trace"`
}

type resumedData struct {
	Trace []string `json:"_trace"`
}

// trace is the _trace of everything: a list of one string, as Discord has it.
func trace() []string { return []string{`["gatewaytest",{"micros":0}]`} }

type unavailableGuild struct {
	ID          string `json:"id"`
	Unavailable bool   `json:"unavailable"`
}

type readyApplication struct {
	ID    string `json:"id"`
	Flags int    `json:"flags"`
}

type user struct {
	ID            string  `json:"id"`
	Username      string  `json:"username"`
	GlobalName    *string `json:"global_name"`
	Discriminator string  `json:"discriminator"`
	Avatar        *string `json:"avatar"`
	Banner        *string `json:"banner"`
	AccentColor   *int    `json:"accent_color"`
	Bot           bool    `json:"bot"`
	Verified      bool    `json:"verified"`
	MFAEnabled    bool    `json:"mfa_enabled"`
	Email         *string `json:"email"`
	Flags         int     `json:"flags"`
	PublicFlags   int     `json:"public_flags"`
}

// botUser is the user of READY and of GET /users/@me.
func botUser() user {
	return user{ID: ApplicationID, Username: "gatewaytest", Discriminator: "0", Bot: true, Verified: true}
}

// application is the answer to GET /oauth2/applications/@me.
type application struct {
	ID                             string    `json:"id"`
	Name                           string    `json:"name"`
	Icon                           *string   `json:"icon"`
	Description                    string    `json:"description"`
	Summary                        string    `json:"summary"`
	Type                           *int      `json:"type"`
	BotPublic                      bool      `json:"bot_public"`
	BotRequireCodeGrant            bool      `json:"bot_require_code_grant"`
	VerifyKey                      string    `json:"verify_key"`
	Flags                          int       `json:"flags"`
	Hook                           bool      `json:"hook"`
	RPCOrigins                     []string  `json:"rpc_origins"`
	Tags                           []string  `json:"tags"`
	RedirectURIs                   []string  `json:"redirect_uris"`
	InteractionsEndpointURL        *string   `json:"interactions_endpoint_url"`
	RoleConnectionsVerificationURL *string   `json:"role_connections_verification_url"`
	ApproximateGuildCount          int       `json:"approximate_guild_count"`
	Owner                          user      `json:"owner"`
	Team                           *struct{} `json:"team"`
	Bot                            user      `json:"bot"`
}

func (s *Server) application() application {
	owner := user{ID: ownerID, Username: "owner", Discriminator: "0", Verified: true}
	return application{
		ID: ApplicationID, Name: "gatewaytest", BotPublic: true, Hook: true, VerifyKey: strings.Repeat("0", 64),
		RPCOrigins: []string{}, Tags: []string{}, RedirectURIs: []string{},
		ApproximateGuildCount: s.shards * s.guilds, Owner: owner, Bot: botUser(),
	}
}

// gatewayBot is the answer to GET /gateway/bot; that to GET /gateway has only
// the URL.
type gatewayBot struct {
	URL               string `json:"url"`
	Shards            int    `json:"shards"`
	SessionStartLimit any    `json:"session_start_limit"`
}

// limited is the body of a 429.
type limited struct {
	Message    string  `json:"message"`
	RetryAfter float64 `json:"retry_after"` // seconds
	Global     bool    `json:"global"`
}

const (
	ownerID  = "123456789012345679"
	joinedAt = "2024-01-01T00:00:00.000000+00:00"
	// firstGuild is the age of every guild, in Discord's count of milliseconds:
	// the part of a snowflake by which guilds are spread over shards.
	firstGuild = 250_000_000_000
)

// guildID is the ID of the nth guild of a shard: (id >> 22) % shards is the
// shard.
func guildID(shard, shards, n int) string {
	first := firstGuild / shards
	return strconv.FormatUint(uint64((first+n)*shards+shard)<<22, 10)
}

// channelID is the ID of a guild's only channel.
func channelID(guild string) string {
	id, _ := strconv.ParseUint(guild, 10, 64) // It is one of guildID's.
	return strconv.FormatUint(id+1, 10)
}

// guild is GUILD_CREATE of so many bytes in JSON. It is written when it is sent,
// so that a session can keep many for a RESUME.
type guild struct {
	id   string
	size int
}

// leastGuild is the size of a guild without members, which no guild goes below.
var leastGuild = len(guild{id: guildID(0, 1, 0)}.without(nil, 0))

// without is the guild with its description filled by so many bytes.
func (g guild) without(members []byte, fill int) []byte {
	return fmt.Appendf(nil, `{"id":%q,"name":"guild %s","icon":null,"splash":null,"discovery_splash":null,"banner":null,`+
		`"description":%q,"owner_id":%q,"application_id":null,"region":"deprecated","afk_channel_id":null,"afk_timeout":300,`+
		`"system_channel_id":null,"system_channel_flags":0,"rules_channel_id":null,"public_updates_channel_id":null,`+
		`"safety_alerts_channel_id":null,"widget_enabled":false,"widget_channel_id":null,"verification_level":0,`+
		`"default_message_notifications":0,"explicit_content_filter":0,"mfa_level":0,"nsfw":false,"nsfw_level":0,"premium_tier":0,`+
		`"premium_subscription_count":0,"premium_progress_bar_enabled":false,"preferred_locale":"en-US","vanity_url_code":null,`+
		`"max_presences":null,"max_members":500000,"max_video_channel_users":25,"max_stage_video_channel_users":50,"features":[],`+
		`"emojis":[],"stickers":[],"threads":[],"stage_instances":[],"guild_scheduled_events":[],"soundboard_sounds":[],`+
		`"embedded_activities":[],"presences":[],"voice_states":[],"lazy":true,"large":false,"unavailable":false,`+
		`"joined_at":%q,"roles":[{"id":%q,"name":"@everyone","description":null,"color":0,"colors":{"primary_color":0,`+
		`"secondary_color":null,"tertiary_color":null},"hoist":false,"icon":null,"unicode_emoji":null,"position":0,`+
		`"permissions":"104324673","managed":false,"mentionable":false,"flags":0}],"channels":[{"id":%q,"type":0,"name":"general",`+
		`"position":0,"flags":0,"topic":null,"nsfw":false,"last_message_id":null,"parent_id":null,"rate_limit_per_user":0,`+
		`"permission_overwrites":[]}],"member_count":%d,"members":[%s]}`,
		g.id, g.id, strings.Repeat("x", fill), ownerID, joinedAt, g.id, channelID(g.id), 1_000_000+g.size/200, members)
}

// MarshalJSON fills a guild with members, and what is left with a description.
func (g guild) MarshalJSON() ([]byte, error) {
	room := g.size - len(g.without(nil, 0))
	var members []byte
	for n := 0; ; n++ {
		one := fmt.Appendf(nil, `{"user":{"id":"%d","username":"member%d","global_name":"Member %d","discriminator":"0",`+
			`"avatar":null,"bot":false,"public_flags":0},"nick":null,"avatar":null,"banner":null,"roles":[],"joined_at":%q,`+
			`"premium_since":null,"deaf":false,"mute":false,"flags":0,"pending":false,"communication_disabled_until":null}`,
			300_000_000_000_000_000+n, n, n, joinedAt)
		if n > 0 {
			one = append([]byte{','}, one...)
		}
		if len(members)+len(one) > room {
			break
		}
		members = append(members, one...)
	}
	return g.without(members, max(0, room-len(members))), nil
}

// message is the nth MESSAGE_CREATE of a session: in its first guild, or in a
// private channel where it has none. All of a size share their content.
func (s *Server) message(sess *session, n uint64) any {
	m := messageData{
		ID: strconv.FormatUint(firstGuild<<22+n, 10), ChannelID: ownerID, Author: user{ID: ownerID, Username: "owner", Discriminator: "0"},
		Content: s.messageContent, Timestamp: time.Now().UTC().Format("2006-01-02T15:04:05.000000+00:00"),
		Mentions: []any{}, MentionRoles: []any{}, Attachments: []any{}, Embeds: []any{}, Components: []any{},
	}
	if s.guilds > 0 {
		m.GuildID = guildID(sess.Shard, sess.Shards, 0)
		m.ChannelID = channelID(m.GuildID)
		m.Member = json.RawMessage(`{"roles":[],"joined_at":"` + joinedAt + `","nick":null,"avatar":null,"premium_since":null,` +
			`"deaf":false,"mute":false,"flags":0,"pending":false,"communication_disabled_until":null}`)
	}
	return m
}

type messageData struct {
	ID              string          `json:"id"`
	Type            int             `json:"type"`
	ChannelID       string          `json:"channel_id"`
	GuildID         string          `json:"guild_id,omitempty"`
	Author          user            `json:"author"`
	Member          json.RawMessage `json:"member,omitempty"`
	Content         string          `json:"content"`
	Timestamp       string          `json:"timestamp"`
	EditedTimestamp *string         `json:"edited_timestamp"`
	TTS             bool            `json:"tts"`
	MentionEveryone bool            `json:"mention_everyone"`
	Mentions        []any           `json:"mentions"`
	MentionRoles    []any           `json:"mention_roles"`
	Attachments     []any           `json:"attachments"`
	Embeds          []any           `json:"embeds"`
	Components      []any           `json:"components"`
	Pinned          bool            `json:"pinned"`
	Flags           int             `json:"flags"`
}
