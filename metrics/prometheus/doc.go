// Package prometheus tells Prometheus what the servers of package adapter do. A [Collector] is registered once and watches any number of
// servers, each under a name:
//
//	data := &adapter.DataServer{Provider: feed, Addr: "localhost:8001"}
//	metrics := prometheus.NewCollector()
//	if err := metrics.Watch("quotes", data); err != nil {
//		return err
//	}
//	registry.MustRegister(metrics)
//	err := data.Run(ctx)
//
// # Metrics
//
// All names begin with lightstreamer_adapter_, all metrics have the labels adapter (the name given to Watch) and kind (data or metadata):
//
//	connected                        gauge      1 while there is a connection to the proxy
//	initialised                      gauge      1 while the adapter is initialised, that is, requests are served
//	connections_total                counter    connections made
//	reconnections_total              counter    connections made after the first
//	disconnections_total             counter    connections that ended and attempts that failed, by reason
//	items                            gauge      items subscribed now (data only)
//	callbacks                        gauge      callbacks at work now
//	requests_total                   counter    requests received
//	request_duration_seconds         histogram  from the arrival of a request to its reply, by method
//	request_errors_total             counter    requests answered with an error of a callback, by method and reason
//	requests_refused_total           counter    requests answered with an error, those that made no sense included
//	protocol_errors_total            counter    lines of the proxy that made no sense
//	updates_total                    counter    updates written (data only)
//	lost_unsent_updates_total        counter    updates that were not written when the connection ended (data only)
//	maybe_lost_updates_total         counter    updates written that the proxy's host had not acknowledged then (data only, Linux only)
//	dropped_events_total             counter    events that came after the end of their subscription or snapshot (data only)
//	conflated_updates_total          counter    updates merged into others (data only)
//	waits_total                      counter    calls that had to wait for room (data only)
//	waiting                          gauge      calls that wait for room now (data only)
//	wait_seconds_total               counter    time that calls have waited for room, summed over the calls (data only)
//	flush_updates                    histogram  updates in one write (data only)
//	flush_size_bytes                 histogram  bytes of one write
//	written_bytes_total              counter    bytes written to the proxy
//	read_bytes_total                 counter    bytes read from the proxy
//
// The labels have few values, whatever the adapter serves: method is one of the protocol's requests (SUB, USB, NUS, ...), reason one of the names below. There is no label for
// items, users or sessions.
//
//	disconnections_total   stopped, lost, closed (by the proxy), occupied (another adapter is connected to the proxy), refused (by the proxy before the initialisation), initialisation, unreachable (no connection was made)
//	request_errors_total   access, credits, conflicting_session, data_provider, failure, items, metadata_provider, notification, resource_unavailable, schema, subscribe, and
//	                       generic for every other error, panics included
package prometheus
