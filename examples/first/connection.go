package main

// What a bot's library does: as little of it as can be.

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

// gateway is Discord's, or in tests a fake one.
var gateway = "wss://gateway.discord.gg/?v=10&encoding=json"

const (
	opHeartbeat      = 1
	opIdentify       = 2
	opReconnect      = 7
	opInvalidSession = 9
)

type payload struct {
	Op   int             `json:"op"`
	Data json.RawMessage `json:"d"`
	Seq  *int64          `json:"s,omitempty"`
	Name string          `json:"t,omitempty"`
}

type connection struct {
	ws    *websocket.Conn
	beats time.Duration // between two heartbeats, as HELLO has it
}

// dial connects, and reads HELLO.
func dial(ctx context.Context) (*connection, error) {
	ws, _, err := websocket.Dial(ctx, gateway, nil) //nolint:bodyclose // the connection closes it
	if err != nil {
		return nil, err
	}
	ws.SetReadLimit(-1) // guilds are large
	var hello payload
	var interval struct {
		Millis int64 `json:"heartbeat_interval"`
	}
	err = wsjson.Read(ctx, ws, &hello)
	if err = errors.Join(err, json.Unmarshal(hello.Data, &interval)); err != nil {
		return nil, errors.Join(err, ws.CloseNow())
	}
	return &connection{ws, max(time.Second, time.Duration(interval.Millis)*time.Millisecond)}, nil
}

func (c *connection) identify(ctx context.Context, shard int) error {
	return wsjson.Write(ctx, c.ws, map[string]any{"op": opIdentify, "d": map[string]any{
		"token": os.Getenv("DISCORD_TOKEN"), "intents": 0, "shard": []int{shard, 4},
		"properties": map[string]string{"os": "linux", "browser": "first", "device": "first"},
	}})
}

// run reads events until the session has ended.
func (c *connection) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go c.beat(ctx)
	for {
		var event payload
		if err := wsjson.Read(ctx, c.ws, &event); err != nil {
			return err
		}
		switch event.Op {
		case opInvalidSession, opReconnect:
			return errors.New("Discord has ended the session") //nolint:staticcheck // a name
		}
	}
}

func (c *connection) close() { _ = c.ws.Close(websocket.StatusNormalClosure, "") } // it may be closed already

func (c *connection) beat(ctx context.Context) {
	for ticker := time.NewTicker(c.beats); ; {
		select {
		case <-ticker.C:
			_ = wsjson.Write(ctx, c.ws, map[string]any{"op": opHeartbeat, "d": nil}) // the reader hears of it
		case <-ctx.Done():
			ticker.Stop()
			return
		}
	}
}
