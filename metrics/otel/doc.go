// Package otel tells OpenTelemetry what the servers of package adapter do. It needs the API only; the program chooses an SDK and passes a meter:
//
//	metrics, err := otel.New(provider.Meter("quotes"))
//	if err != nil {
//		return err
//	}
//	defer metrics.Close()
//	data := &adapter.DataServer{Provider: feed, Addr: "localhost:8001"}
//	if err := metrics.Watch("quotes", data); err != nil {
//		return err
//	}
//	err = data.Run(ctx)
//
// # Metrics
//
// All names begin with lightstreamer.adapter., all metrics have the attributes adapter (the name given to Watch) and kind (data or metadata). Exported to
// Prometheus, they have the names and labels of package metrics/prometheus.
//
//	connected            gauge                      1 while there is a connection to the proxy
//	initialised          gauge                      1 while the adapter is initialised, that is, requests are served
//	connections          counter    {connection}    connections made
//	reconnections        counter    {connection}    connections made after the first
//	disconnections       counter    {connection}    connections that ended and attempts that failed, by reason
//	items                gauge                      items subscribed now (data only)
//	callbacks            gauge                      callbacks at work now
//	requests             counter    {request}       requests received
//	request.duration     histogram  s               from the arrival of a request to its reply, by method
//	request.errors       counter    {request}       requests answered with an error of a callback, by method and reason
//	requests.refused     counter    {request}       requests answered with an error, those that made no sense included
//	protocol_errors      counter    {line}          lines of the proxy that made no sense
//	updates              counter    {update}        updates written (data only)
//	lost_unsent_updates  counter    {update}        updates that were not written when the connection ended (data only)
//	maybe_lost_updates   counter    {update}        updates written that the proxy's host had not acknowledged then (data only, Linux only)
//	dropped_events       counter    {event}         events that came after the end of their subscription or snapshot (data only)
//	conflated_updates    counter    {update}        updates merged into others (data only)
//	waits                counter    {call}          calls that had to wait for room (data only)
//	waiting              gauge                      calls that wait for room now (data only)
//	wait                 counter    s               time that calls have waited for room, summed over the calls (data only)
//	flush.updates        histogram  {update}        updates in one write (data only)
//	flush.size           histogram  By              bytes of one write
//	written              counter    By              bytes written to the proxy
//	read                 counter    By              bytes read from the proxy
//
// The attributes have few values, whatever the adapter serves: method is one of the protocol's requests (SUB, USB, NUS, ...), reason one of the names below. There is no attribute
// for items, users or sessions.
//
//	disconnections    stopped, lost, closed (by the proxy), occupied (another adapter is connected to the proxy), refused (by the proxy before the initialisation), initialisation, unreachable (no connection was made)
//	request.errors    access, credits, conflicting_session, data_provider, failure, items, metadata_provider, notification, resource_unavailable, schema, subscribe, and
//	                  generic for every other error, panics included
package otel
