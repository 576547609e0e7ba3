// lumberjack-send sends numbered events to a Beats (Lumberjack v2) input and waits for every ACK.
//
//	lumberjack-send -addr 127.0.0.1:PORT -count N [-batch N] [-window N] [-compress N] [-seq-start N]
//	                [-tls-ca FILE [-cert FILE -key FILE] [-tls-name NAME]] [-host NAME] [-padding N] [-timeout D]
//	                [-pause D] [-abort-after N]
//
// Event K is {"message":"lumberjack event seq=K","seq":K,"@timestamp":...,"host":{"name":...},...}.
// The last line on standard output is "acked N", also when it failed: N is how many events the
// server has acknowledged. The exit status is 0 only when that is all of them.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	client "github.com/elastic/go-lumber/client/v2"
)

func main() {
	acked, err := run()
	fmt.Printf("acked %d\n", acked)
	if err != nil {
		fmt.Fprintf(os.Stderr, "lumberjack-send: %v\n", err)
		os.Exit(1)
	}
}

func run() (int, error) {
	addr := flag.String("addr", "", "host:port of the input (needed)")
	count := flag.Int("count", 0, "events to send (needed)")
	batch := flag.Int("batch", 50, "events handed over in one go; split into windows when larger than -window")
	window := flag.Int("window", 0, "largest window (events per ACK) on the wire; 0: the batch")
	compress := flag.Int("compress", 0, "zlib level 0 (none) to 9")
	start := flag.Int("seq-start", 0, "number of the first event")
	ca := flag.String("tls-ca", "", "PEM file of the CA; given: TLS")
	cert := flag.String("cert", "", "PEM file of the client certificate")
	key := flag.String("key", "", "PEM file of the client key")
	name := flag.String("tls-name", "", "server name to verify; default: the host of -addr")
	host := flag.String("host", "lumberjack-host", "value of host.name")
	padding := flag.Int("padding", 0, "bytes of padding in each event")
	timeout := flag.Duration("timeout", 30*time.Second, "for the connect, each write and each ACK")
	pause := flag.Duration("pause", 0, "pause between windows")
	abortAfter := flag.Int("abort-after", -1, "after so many acknowledged events send one more window, do not wait for its ACK and close")
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		return 0, fmt.Errorf("unexpected argument %q", flag.Arg(0))
	case *addr == "" || *count < 1 || *batch < 1 || *window < 0 || *padding < 0:
		return 0, errors.New("-addr, -count (1 or more) and -batch (1 or more) are needed; see -help")
	case (*cert == "") != (*key == ""):
		return 0, errors.New("-cert and -key go together")
	case *cert != "" && *ca == "":
		return 0, errors.New("-cert needs -tls-ca")
	}
	size := *batch
	if *window > 0 && *window < size {
		size = *window
	}

	conn, err := dial(*addr, *ca, *cert, *key, *name, *timeout)
	if err != nil {
		return 0, err
	}
	low, err := client.NewWithConn(conn, client.CompressionLevel(*compress), client.Timeout(*timeout))
	if err != nil {
		conn.Close()
		return 0, err
	}
	defer low.Close()

	pad := strings.Repeat("x", *padding)
	acked := 0
	for acked < *count {
		n := size
		if rest := *count - acked; n > rest {
			n = rest
		}
		events := make([]interface{}, n)
		for i := range events {
			seq := *start + acked + i
			event := map[string]interface{}{
				"message":    fmt.Sprintf("lumberjack event seq=%d", seq),
				"seq":        seq,
				"@timestamp": time.Now().UTC().Format("2006-01-02T15:04:05.000Z"),
				"@metadata":  map[string]interface{}{"beat": "filebeat", "type": "_doc", "version": "8.0.0"},
				"host":       map[string]interface{}{"name": *host},
				"agent":      map[string]interface{}{"type": "filebeat", "name": *host},
				"log":        map[string]interface{}{"offset": seq * 64, "file": map[string]interface{}{"path": "/var/log/app.log"}},
			}
			if pad != "" {
				event["padding"] = pad
			}
			events[i] = event
		}
		if err := low.Send(events); err != nil {
			return acked, fmt.Errorf("send after %d acknowledged: %w", acked, err)
		}
		if *abortAfter >= 0 && acked >= *abortAfter {
			return acked, fmt.Errorf("closed without the last ACK, as told: seq %d to %d are in doubt", *start+acked, *start+acked+n-1)
		}
		got, err := low.AwaitACK(uint32(n))
		acked += int(got)
		if err != nil {
			return acked, fmt.Errorf("ack after %d acknowledged: %w", acked, err)
		}
		if *pause > 0 {
			time.Sleep(*pause)
		}
	}
	return acked, nil
}

func dial(addr, ca, cert, key, name string, timeout time.Duration) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: timeout}
	if ca == "" {
		return dialer.Dial("tcp", addr)
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: no certificate in it", ca)
	}
	config := &tls.Config{RootCAs: roots, ServerName: name, MinVersion: tls.VersionTLS12}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return tls.DialWithDialer(dialer, "tcp", addr, config)
}
