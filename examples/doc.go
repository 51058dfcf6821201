// Package examples holds small real bots whose pods share one IDENTIFY queue,
// one per library. Without a token they play against a fake Discord:
//
//	go run ./disgo
//	go run ./discordgo
package examples
