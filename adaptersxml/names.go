package adaptersxml

import (
	"strconv"
	"strings"
)

// who says for which proxies a parameter has a meaning.
type who uint8

const (
	basicMetadata who = 1 << iota
	robustMetadata
	basicData
	robustData

	allProxies   = basicMetadata | robustMetadata | basicData | robustData
	anyMetadata  = basicMetadata | robustMetadata
	anyData      = basicData | robustData
	robustProxy  = robustMetadata | robustData
	metadataSide = anyMetadata
)

// proxyParams are the names that the server knows; a name that ends in a dot stands for all names that begin with it.
var proxyParams = map[string]who{
	"request_reply_port":       allProxies,
	"notify_port":              anyData,
	"remote_host":              allProxies,
	"connection_retry_millis":  allProxies,
	"interface":                allProxies,
	"remote_address_whitelist": allProxies,
	"name":                     allProxies,
	"timeout":                  allProxies,
	"keepalive_timeout_millis": allProxies,
	"keepalive_hint_millis":    allProxies,
	"init_remote":              allProxies,

	"tls":                                              allProxies,
	"tls.keystore.type":                                allProxies,
	"tls.keystore.keystore_file":                       allProxies,
	"tls.keystore.keystore_password":                   allProxies,
	"tls.keystore.keystore_password.type":              allProxies,
	"tls.allow_cipher_suite.":                          allProxies,
	"tls.remove_cipher_suites.":                        allProxies,
	"tls.enforce_server_cipher_suite_preference":       allProxies,
	"tls.enforce_server_cipher_suite_preference.order": allProxies,
	"tls.allow_protocol.":                              allProxies,
	"tls.remove_protocols.":                            allProxies,
	"tls.force_client_auth":                            allProxies,
	"tls.truststore.type":                              allProxies,
	"tls.truststore.truststore_file":                   allProxies,
	"tls.truststore.truststore_password":               allProxies,
	"tls.truststore.truststore_password.type":          allProxies,
	"tls.skip_hostname_check":                          allProxies,

	"auth":              allProxies,
	"auth.credentials.": allProxies,

	"remote_params_prefix": allProxies,

	"first_connection_timeout_millis":    robustProxy,
	"connection_recovery_timeout_millis": robustProxy,

	"close_notifications_recovery":   robustMetadata,
	"notify_user_on_disconnection":   robustMetadata,
	"notify_user_disconnection_code": robustMetadata,
	"notify_user_disconnection_msg":  robustMetadata,
	"clear_on_new_remote":            robustMetadata,
	"clear_on_session_close":         metadataSide,
	"user_data_timeout":              metadataSide,

	"events_recovery": robustData,
	"status_item":     robustData,
}

// maxGuess is the longest name for which a known one is guessed: the effort grows with it.
const maxGuess = 64

// nearest returns the candidate that name was most likely meant to be, or "". Only a small distance counts: a far guess is
// worse than none.
func nearest(name string, candidates []string) string {
	if len(name) > maxGuess {
		return ""
	}
	best, bestDistance := "", 1+max(1, len(name)/4)
	for _, c := range candidates {
		if d := editDistance(name, c); d < bestDistance || d == bestDistance && best != "" && c < best {
			best, bestDistance = c, d
		}
	}
	return best
}

// editDistance counts the single characters to insert, delete or replace, and the neighbours to swap, between a and b.
func editDistance(a, b string) int {
	before := make([]int, len(b)+1)
	last := make([]int, len(b)+1)
	next := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(last[j]+1, next[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, last, next = last, next, before
	}
	return last[len(b)]
}

// mostShown bounds what a message shows of a text of the file.
const mostShown = 80

// quote shows a name of the file in a message, bounded.
func quote(s string) string { return strconv.Quote(shorten(s)) }

// shorten bounds a text of the file in a message.
func shorten(s string) string {
	if len(s) > mostShown {
		return strings.ToValidUTF8(s[:mostShown], "") + "..."
	}
	return s
}

// didYouMean is the end of a message on an unknown name.
func didYouMean(name string, candidates []string) string {
	if n := nearest(name, candidates); n != "" {
		return "; did you mean " + quote(n) + "?"
	}
	return ""
}

// guess is didYouMean, unless nobody would see it.
func (r *report) guess(name string, candidates []string) string {
	if len(r.problems) >= maxProblems {
		return ""
	}
	return didYouMean(name, candidates)
}
