package redisqueue_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// Discord's own figures, with the bot's token. (DiscordLimits asks discord.com;
// DiscordLimitsAt another address, here a fake Discord.)
func ExampleDiscordLimitsAt() {
	discord := gatewaytest.NewServer()
	defer discord.Close()
	source := redisqueue.DiscordLimitsAt(discord.URL()+"/api/v10", http.DefaultClient, discord.Token())

	limit, err := source(context.Background()) // the queue does that: redisqueue.WithLimitSource(source)
	fmt.Println(limit.Remaining, "of", limit.Total, err)

	wrong := redisqueue.DiscordLimitsAt(discord.URL()+"/api/v10", http.DefaultClient, "another token")
	_, err = wrong(context.Background())
	fmt.Println(errors.Is(err, redisqueue.ErrUnauthorized))
	// Output:
	// 1000 of 1000 <nil>
	// true
}
