// Which Redis, as flags, variables and files say it.

package store

import (
	"github.com/spf13/pflag"

	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
)

// Flags are --redis and --redis-file, and with them $GATEWAYQUEUE_REDIS and
// $REDIS_URL, $GATEWAYQUEUE_REDIS_FILE and $REDIS_URL_FILE. A URL holds a
// password as a rule, and a list of processes shows flags.
type Flags struct {
	Redis     string // the URL, or empty
	RedisFile string
}

const fileFlag = "redis-file"

// Define defines both. who begins the help of each, such as "with --legacy: ".
func (f *Flags) Define(flags *pflag.FlagSet, usage string) {
	cli.Text(flags, &f.Redis, "redis", usage)
	cli.Text(flags, &f.RedisFile, fileFlag, "`FILE` with that URL, which mostly holds a password\n(or the URL in $REDIS_URL)")
	flags.Lookup("redis").DefValue = "" // said in words, and it may hold a password
	cli.OwnEnv(flags, "redis")
	cli.OwnEnv(flags, fileFlag)
}

// Settle puts the URL into Redis: that of the command line, or with env of the
// environment. Two of a kind are refused.
func (f *Flags) Settle(flags *pflag.FlagSet, env bool) (err error) {
	url, file := flags.Changed("redis"), flags.Changed(fileFlag)
	switch {
	case url && file:
		return cli.Usage("--redis and --%s do not go together", fileFlag)
	case url:
		return nil
	case !file && env:
		if file, err = f.fromEnv(); err != nil {
			return err
		}
	}
	if file {
		f.Redis, err = cli.Secret(fileFlag, f.RedisFile)
	}
	return err
}

// fromEnv says if the environment names a file.
func (f *Flags) fromEnv() (file bool, err error) {
	url, err := first(cli.EnvName("redis"), "REDIS_URL")
	if err != nil {
		return false, err
	}
	name, err := first(cli.EnvName(fileFlag), "REDIS_URL_FILE")
	switch {
	case err != nil:
		return false, err
	case url != "" && name != "":
		return false, cli.Usage("the Redis URL is set in the environment, and a file with it, too: unset one of them")
	case url != "":
		f.Redis = url
	}
	f.RedisFile = name
	return name != "", nil
}

// first is the value of the first variable that is set.
func first(names ...string) (string, error) {
	for _, name := range names {
		if value, set, err := cli.Set(name); set || err != nil {
			return value, err
		}
	}
	return "", nil
}
