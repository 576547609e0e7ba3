// lumberjack-receive is a Beats (Lumberjack v2) server that acknowledges everything it gets: the
// counterpart on which lumberjack-send itself is tried.
//
//	lumberjack-receive -addr 127.0.0.1:PORT [-tls-cert FILE -tls-key FILE [-client-ca FILE]]
//
// Prints "READY host:port", then each event as one line of JSON. Ends at SIGTERM or SIGINT with
// "received N" on standard error.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/elastic/go-lumber/server"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:0", "where to listen")
	cert := flag.String("tls-cert", "", "PEM file of the server certificate; given: TLS")
	key := flag.String("tls-key", "", "PEM file of the server key")
	clientCA := flag.String("client-ca", "", "PEM file of the CA that client certificates must come from")
	flag.Parse()

	listener, err := net.Listen("tcp", *addr)
	check(err)
	if *cert != "" {
		pair, err := tls.LoadX509KeyPair(*cert, *key)
		check(err)
		config := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
		if *clientCA != "" {
			pem, err := os.ReadFile(*clientCA)
			check(err)
			config.ClientCAs = x509.NewCertPool()
			config.ClientCAs.AppendCertsFromPEM(pem)
			config.ClientAuth = tls.RequireAndVerifyClientCert
		}
		listener = tls.NewListener(listener, config)
	}
	s, err := server.NewWithListener(listener, server.V2(true))
	check(err)
	fmt.Printf("READY %s\n", listener.Addr())

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	received := 0
	out := bufio.NewWriter(os.Stdout)
	for {
		select {
		case <-stop:
			_ = out.Flush()
			_ = s.Close()
			fmt.Fprintf(os.Stderr, "received %d\n", received)
			return
		case batch := <-s.ReceiveChan():
			for _, event := range batch.Events {
				line, err := json.Marshal(event)
				check(err)
				_, _ = out.Write(append(line, '\n'))
				received++
			}
			_ = out.Flush()
			batch.ACK()
		}
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "lumberjack-receive: %v\n", err)
		os.Exit(1)
	}
}
