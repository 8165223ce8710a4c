// SPDX-License-Identifier: BSD-2-Clause

// go run client.go: for each line of input, GET / from an instance of "web", and the reply.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

const service = "_web._tcp.service.local"

// The zero net.Resolver asks as resolv.conf says.
var resolver = &net.Resolver{
	PreferGo: true,
	Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:8600")
	},
}

var client = &http.Client{Timeout: 5 * time.Second}

var known []*net.SRV // what DNS said last, used on while it says nothing

// lookup has addresses in place of the names of targets. LookupSRV sorts by priority, and draws the
// order of equals by weight (RFC 2782).
func lookup() ([]*net.SRV, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_, records, err := resolver.LookupSRV(ctx, "", "", service)
	if err != nil {
		return nil, err
	}
	for _, record := range records {
		addresses, err := resolver.LookupHost(ctx, record.Target)
		if err != nil {
			return nil, err
		}
		record.Target = addresses[0]
	}
	return records, nil
}

// instances asks each time: rosterd is near, and so each request has a draw of its own.
func instances() []*net.SRV {
	records, err := lookup()
	var failure *net.DNSError
	if err == nil || errors.As(err, &failure) && failure.IsNotFound {
		known = records
	} // else SERVFAIL, or no answer at all
	return known
}

// get tries one instance after the other: one that cannot be reached costs no request.
func get(path string) (string, error) {
	failure := fmt.Errorf("no instance of %s", service)
	for _, record := range instances() {
		reply, err := client.Get("http://" +
			net.JoinHostPort(record.Target, strconv.Itoa(int(record.Port))) + path)
		if err != nil {
			failure = err
			continue
		}
		defer reply.Body.Close()
		text, err := io.ReadAll(reply.Body)
		return string(text), err
	}
	return "", failure
}

func main() {
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		text, err := get("/")
		if err != nil {
			text = "error: " + err.Error()
		}
		fmt.Println(strings.TrimSpace(text))
	}
}
