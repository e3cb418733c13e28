package adapter

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
)

// What ends a connection, and whether connecting again can help. Each row is met in practice; TestCloseByTheProxy, TestInitialiseRefused and others of the
// package's tests show the way there.
func TestClassify(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want verdict
	}{
		{"end of stream", fmt.Errorf("%w: closed by the proxy", ErrDisconnected), retry},
		{"reset by the other host", fmt.Errorf("%w: read: %w", ErrDisconnected, syscall.ECONNRESET), retry},
		{"broken pipe", fmt.Errorf("%w: write: %w", ErrDisconnected, syscall.EPIPE), retry},
		{"cut in the middle of a line", fmt.Errorf("%w: read: %w", ErrDisconnected, io.ErrUnexpectedEOF), retry},
		{"nobody listens yet", &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, retry},
		{"host not found", &net.DNSError{Err: "no such host", Name: "proxy", IsNotFound: true}, retry},
		{"dial timed out", &net.OpError{Op: "dial", Err: context.DeadlineExceeded}, retry},
		{"certificate expired", fmt.Errorf("tls: %w", x509.CertificateInvalidError{Reason: x509.Expired}), retry},
		{"certificate of an unknown authority", fmt.Errorf("tls: %w", &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}), retry},
		{"credentials can't be fetched", fmt.Errorf("credentials: %w", errors.New("vault sealed")), retry},
		{"the proxy speaks no lines", fmt.Errorf("%w: more than 10 bytes", ErrLineTooLong), retry},
		{"closed by the proxy at work", &CloseError{Reason: "keepalive timeout"}, retry},
		{"closed by the proxy before it asked anything", &CloseError{Reason: "bad user", BeforeInit: true}, fatal},
		{"another adapter is connected", &CloseError{Reason: "there is a remote adapter already", BeforeInit: true, Occupied: true}, refused},
		{"closed before it asked anything, without a word", fmt.Errorf("%w: %w: closed by the proxy", ErrDisconnected, ErrTurnedAway), refused},
		{"version refused", &InitError{Err: errors.New("unsupported version")}, fatal},
		{"refused by the provider", fmt.Errorf("wrapped: %w", &InitError{Err: &DataProviderError{Message: "no feed"}}), fatal},
		{"listener closed by its owner", &net.OpError{Op: "accept", Err: net.ErrClosed}, fatal},
	} {
		if got := classify(tt.err); got != tt.want {
			t.Errorf("%s: classify(%v) = %v, want %v", tt.name, tt.err, got, tt.want)
		}
	}
}
