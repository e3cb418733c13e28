package ari

// GetItems is the request GIS: which items does a group mean?
type GetItems struct {
	User    Text
	Group   Text
	Session string
}

// Append appends the request.
func (g GetItems) Append(dst []byte, id string, v Version) []byte {
	enc := GIS.Encoding(v)
	dst = appendTaggedText(appendHead(dst, id, GIS), enc, g.User)
	dst = appendTaggedText(dst, enc, g.Group)
	return appendStr(dst, enc, g.Session)
}

// ParseGetItems reads the body of GIS.
func ParseGetItems(body []byte, v Version) (GetItems, error) {
	p := parser{method: "GIS", rest: body, body: body, enc: GIS.Encoding(v)}
	g := GetItems{User: p.text("user"), Group: p.text("group"), Session: p.str("session")}
	if err := p.done(); err != nil {
		return GetItems{}, err
	}
	return g, nil
}

// GetSchema is the request GSC: which fields does a schema mean for a group?
type GetSchema struct {
	User, Group, Schema Text
	Session             string
}

// Append appends the request.
func (g GetSchema) Append(dst []byte, id string, v Version) []byte {
	enc := GSC.Encoding(v)
	dst = appendTaggedText(appendHead(dst, id, GSC), enc, g.User)
	dst = appendTaggedText(dst, enc, g.Group)
	dst = appendTaggedText(dst, enc, g.Schema)
	return appendStr(dst, enc, g.Session)
}

// ParseGetSchema reads the body of GSC.
func ParseGetSchema(body []byte, v Version) (GetSchema, error) {
	p := parser{method: "GSC", rest: body, body: body, enc: GSC.Encoding(v)}
	g := GetSchema{User: p.text("user"), Group: p.text("group"), Schema: p.text("schema"), Session: p.str("session")}
	if err := p.done(); err != nil {
		return GetSchema{}, err
	}
	return g, nil
}

// AppendNames appends the reply to GIS or GSC, as m says: the items of the group, the fields of the schema.
func AppendNames(dst []byte, id string, m Method, v Version, names []string) []byte {
	return appendStrs(appendHead(dst, id, m), m.Encoding(v), names)
}

// ParseNames reads the body of a reply to GIS or GSC. No names give nil.
func ParseNames(body []byte, v Version) ([]string, error) {
	p := parser{method: "GIS/GSC reply", rest: body, body: body, enc: v.Encoding()}
	names := p.strs("name")
	if err := p.done(); err != nil {
		return nil, err
	}
	return names, nil
}

// GetItemData is the request GIT: what holds for these items, whoever the user is?
type GetItemData struct {
	Items []string // at least one: remotes cannot read a request without a body
}

// Append appends the request.
func (g GetItemData) Append(dst []byte, id string, v Version) []byte {
	return appendStrs(appendHead(dst, id, GIT), GIT.Encoding(v), g.Items)
}

// ParseGetItemData reads the body of GIT.
func ParseGetItemData(body []byte, v Version) (GetItemData, error) {
	p := parser{method: "GIT", rest: body, body: body, enc: GIT.Encoding(v)}
	g := GetItemData{Items: p.strs("item")}
	if err := p.done(); err != nil {
		return GetItemData{}, err
	}
	return g, nil
}

// ItemData answers GIT for one item.
type ItemData struct {
	DistinctSnapshotLength int     // held to 32 bits on the wire
	MinSourceFrequency     float64 // updates per second, 0 for unknown
	Modes                  Modes   // which modes may be allowed
}

// AppendItemData appends the reply to GIT, one element for each item in the order asked.
func AppendItemData(dst []byte, id string, data []ItemData) []byte {
	dst = appendHead(dst, id, GIT)
	for _, d := range data {
		dst = appendTaggedDouble(appendTaggedInt(dst, d.DistinctSnapshotLength), d.MinSourceFrequency)
		dst = appendModes(dst, d.Modes)
	}
	return dst
}

// ParseItemData reads the body of a reply to GIT. Callers compare the length with what they asked for.
func ParseItemData(body []byte) ([]ItemData, error) {
	p := parser{method: "GIT reply", rest: body}
	var data []ItemData
	for p.more() {
		data = append(data, ItemData{
			DistinctSnapshotLength: p.nullableInt32("distinct snapshot length"),
			MinSourceFrequency:     p.double("min source frequency"),
			Modes:                  p.modes("modes"),
		})
	}
	if err := p.done(); err != nil {
		return nil, err
	}
	return data, nil
}

// GetUserItemData is the request GUI: what holds for these items and this user?
type GetUserItemData struct {
	User  Text
	Items []string
}

// Append appends the request.
func (g GetUserItemData) Append(dst []byte, id string, v Version) []byte {
	enc := GUI.Encoding(v)
	return appendStrs(appendTaggedText(appendHead(dst, id, GUI), enc, g.User), enc, g.Items)
}

// ParseGetUserItemData reads the body of GUI.
func ParseGetUserItemData(body []byte, v Version) (GetUserItemData, error) {
	p := parser{method: "GUI", rest: body, body: body, enc: GUI.Encoding(v)}
	g := GetUserItemData{User: p.text("user"), Items: p.strs("item")}
	if err := p.done(); err != nil {
		return GetUserItemData{}, err
	}
	return g, nil
}

// UserItemData answers GUI for one item.
type UserItemData struct {
	BufferSize   int     // updates, 0 for unlimited; held to 32 bits on the wire
	MaxFrequency float64 // updates per second, 0 for unlimited
	Modes        Modes   // which modes are allowed to the user
}

// AppendUserItemData appends the reply to GUI, one element for each item in the order asked.
func AppendUserItemData(dst []byte, id string, data []UserItemData) []byte {
	dst = appendHead(dst, id, GUI)
	for _, d := range data {
		dst = appendTaggedDouble(appendTaggedInt(dst, d.BufferSize), d.MaxFrequency)
		dst = appendModes(dst, d.Modes)
	}
	return dst
}

// ParseUserItemData reads the body of a reply to GUI. Callers compare the length with what they asked for.
func ParseUserItemData(body []byte) ([]UserItemData, error) {
	p := parser{method: "GUI reply", rest: body}
	var data []UserItemData
	for p.more() {
		data = append(data, UserItemData{
			BufferSize:   p.nullableInt32("buffer size"),
			MaxFrequency: p.double("max frequency"),
			Modes:        p.modes("modes"),
		})
	}
	if err := p.done(); err != nil {
		return nil, err
	}
	return data, nil
}
