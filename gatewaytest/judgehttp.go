// The judge over HTTP, for pods that run in other processes: the routes, and
// the call that a pod makes.

package gatewaytest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// ServeHTTP lets processes share a judge:
//
//	POST /identify?shard=N   an identify that arrives now; answers its Ruling
//	GET  /verdict            the Verdict
//	GET  /record             the list of Identify
//	GET  /limit              the limit as it is now, as Discord's session_start_limit
//
// Answers are JSON, with durations in nanoseconds (names end in _ns). An
// identify's time is taken before anything is read or locked. A shard that is
// missing or is no integer of 0 or more is answered with 400 and not recorded.
func (j *Judge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	arrival := time.Now()
	switch r.Method + " " + r.URL.Path {
	case "POST /identify":
		shard, err := strconv.Atoi(r.URL.Query().Get("shard"))
		if err != nil || shard < 0 {
			http.Error(w, "shard: want an integer of 0 or more", http.StatusBadRequest)
			return
		}
		writeJSON(w, http.StatusOK, j.identifyAt(arrival, shard))
	case "GET /verdict":
		writeJSON(w, http.StatusOK, j.Verdict())
	case "GET /record":
		writeJSON(w, http.StatusOK, append([]Identify{}, j.Record()...))
	case "GET /limit":
		writeJSON(w, http.StatusOK, j.Limit())
	default:
		http.Error(w, "want POST /identify?shard=N, GET /verdict, GET /record or GET /limit", http.StatusNotFound)
	}
}

// Report tells the [Judge] that is served at baseURL that shard identifies now,
// and returns its ruling. It blocks until the answer is there or ctx ends; a nil
// client is [http.DefaultClient]. An error does not mean that the judge has not
// heard of the identify: the answer may have been lost. Report is never repeated
// on its own.
func Report(ctx context.Context, client *http.Client, baseURL string, shard int) (Ruling, error) {
	var ruling Ruling
	if client == nil {
		client = http.DefaultClient
	}
	target := strings.TrimSuffix(baseURL, "/") + "/identify?" + url.Values{"shard": {strconv.Itoa(shard)}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, nil)
	if err != nil {
		return ruling, fmt.Errorf("gatewaytest: report: %w", err)
	}
	res, err := client.Do(req)
	if err != nil {
		return ruling, fmt.Errorf("gatewaytest: report: %w", err)
	}
	defer res.Body.Close() // Only read from.
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<16))
	if err != nil {
		return ruling, fmt.Errorf("gatewaytest: report: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return ruling, fmt.Errorf("gatewaytest: report: %s: %s", res.Status, strings.TrimSpace(string(body)))
	}
	if err := json.Unmarshal(body, &ruling); err != nil {
		return ruling, fmt.Errorf("gatewaytest: report: %w", err)
	}
	return ruling, nil
}

// writeJSON answers with v. A client that is gone is not an error here.
func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // a value of ours that is no JSON
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)+1))
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // See above.
}
