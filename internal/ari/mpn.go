package ari

// Platform is a push notification service, by its letter. The zero Platform is null.
type Platform byte

// The platforms.
const (
	Apple  Platform = 'A' // APNs
	Google Platform = 'G' // FCM
)

// String returns "Apple", "Google" or, for anything else, "none".
func (p Platform) String() string {
	switch p {
	case Apple:
		return "Apple"
	case Google:
		return "Google"
	}
	return "none"
}

// Device is a device that can get push notifications.
type Device struct {
	Platform   Platform
	App, Token string
}

func (d *Device) append(dst []byte, enc Encoding) []byte {
	dst = append(dst, "|P|"...)
	if d.Platform == 0 {
		dst = append(dst, '#')
	} else {
		dst = append(dst, byte(d.Platform))
	}
	return appendStr(appendStr(dst, enc, d.App), enc, d.Token)
}

func (p *parser) device() Device {
	var d Device
	const field = "platform"
	if !p.tag("P", field) {
		return d
	}
	switch string(p.token(field)) {
	case "A":
		d.Platform = Apple
	case "G":
		d.Platform = Google
	case "#":
	default:
		p.fail(field, "want A, G or null")
	}
	d.App = p.str("app")
	d.Token = p.str("token")
	return d
}

// NotifyDeviceAccess is the request MDA: may this user's device get push notifications? The reply is void.
type NotifyDeviceAccess struct {
	User    Text
	Session string
	Device  Device
}

// Append appends the request.
func (n NotifyDeviceAccess) Append(dst []byte, id string, v Version) []byte {
	enc := MDA.Encoding(v)
	dst = appendTaggedText(appendHead(dst, id, MDA), enc, n.User)
	return n.Device.append(appendStr(dst, enc, n.Session), enc)
}

// ParseNotifyDeviceAccess reads the body of MDA.
func ParseNotifyDeviceAccess(body []byte, v Version) (NotifyDeviceAccess, error) {
	p := parser{method: "MDA", rest: body, body: body, enc: MDA.Encoding(v)}
	n := NotifyDeviceAccess{User: p.text("user"), Session: p.str("session"), Device: p.device()}
	if err := p.done(); err != nil {
		return NotifyDeviceAccess{}, err
	}
	return n, nil
}

// NotifySubscriptionActivation is the request MSA: may this subscription send push notifications? The reply is void.
type NotifySubscriptionActivation struct {
	User    Text
	Session string
	Table   Table // its selector and statistics are not on the wire
	Device  Device
	Trigger Text // null when every update is notified
	Format  Text // JSON
}

// Append appends the request.
func (n NotifySubscriptionActivation) Append(dst []byte, id string, v Version) []byte {
	enc := MSA.Encoding(v)
	dst = appendTaggedText(appendHead(dst, id, MSA), enc, n.User)
	dst = n.Table.append(appendStr(dst, enc, n.Session), MSA, v)
	dst = appendTaggedText(n.Device.append(dst, enc), enc, n.Trigger)
	return appendTaggedText(dst, enc, n.Format)
}

// ParseNotifySubscriptionActivation reads the body of MSA.
func ParseNotifySubscriptionActivation(body []byte, v Version) (NotifySubscriptionActivation, error) {
	p := parser{method: "MSA", rest: body, body: body, enc: MSA.Encoding(v)}
	n := NotifySubscriptionActivation{
		User: p.text("user"), Session: p.str("session"), Table: p.table(MSA, v), Device: p.device(),
		Trigger: p.text("trigger"), Format: p.text("format"),
	}
	if err := p.done(); err != nil {
		return NotifySubscriptionActivation{}, err
	}
	return n, nil
}

// NotifyDeviceTokenChange is the request MDC: may the device take a new token? The reply is void.
type NotifyDeviceTokenChange struct {
	User     Text
	Session  string
	Device   Device
	NewToken string
}

// Append appends the request.
func (n NotifyDeviceTokenChange) Append(dst []byte, id string, v Version) []byte {
	enc := MDC.Encoding(v)
	dst = appendTaggedText(appendHead(dst, id, MDC), enc, n.User)
	dst = n.Device.append(appendStr(dst, enc, n.Session), enc)
	return appendStr(dst, enc, n.NewToken)
}

// ParseNotifyDeviceTokenChange reads the body of MDC.
func ParseNotifyDeviceTokenChange(body []byte, v Version) (NotifyDeviceTokenChange, error) {
	p := parser{method: "MDC", rest: body, body: body, enc: MDC.Encoding(v)}
	n := NotifyDeviceTokenChange{
		User: p.text("user"), Session: p.str("session"), Device: p.device(), NewToken: p.str("new token"),
	}
	if err := p.done(); err != nil {
		return NotifyDeviceTokenChange{}, err
	}
	return n, nil
}
