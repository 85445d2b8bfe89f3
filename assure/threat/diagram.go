package threat

import (
	"fmt"
	"slices"
	"strings"
)

// The data-flow diagram has four columns: who, where, what runs there, and what
// is worth attacking. It is a sum over all hosts, so that it stays small, and
// is laid out by order alone: the same model is the same picture.

const (
	boxWidth   = 190
	boxHeight  = 40
	rowHeight  = 56
	columnStep = 290
	margin     = 20
	headHeight = 60
)

// Diagram is the picture, measured.
type Diagram struct {
	Width, Height int
	Title         string
	Zones         []Zone
	Lines         []Line
	Flows         []Flow
	Boxes         []Box
	Marks         []BoundaryMark
}

// Zone is the heading of a column.
type Zone struct {
	X, Y int
	Text string
}

// Box is an actor, an entry point, a process or an asset.
type Box struct {
	id                  string
	X, Y, Width, Height int
	Class               string
	TextX, TextY, NoteY int
	Text, Note          string
}

// Flow is a line from one box to another.
type Flow struct {
	X1, Y1, X2, Y2 int
	Class          string
}

// Line is a trust boundary between columns.
type Line struct{ X1, Y1, X2, Y2 int }

// BoundaryMark is the name of a trust boundary where a flow crosses it.
type BoundaryMark struct {
	X, Y, TextY int
	Class, Text string
}

// processes are what runs on the gateway, with what leads to them and what they
// lead to, and the boundary on the way in and out.
var processes = []struct {
	id      string
	from    []EntryKind
	in      BoundaryID
	assets  []AssetKind
	out     BoundaryID
	process string
}{
	{"ike", []EntryKind{atIKE, atESP}, outside, []AssetKind{networks, traffic}, ikeInner, "IKE daemon, IPsec"},
	{"l2tp", []EntryKind{atL2TP}, intoL2TP, []AssetKind{networks, traffic}, pppInner, "L2TP and PPP"},
	{"vpn", []EntryKind{atService, atWireGuard}, otherVPN, []AssetKind{networks, traffic}, "", "other VPN services"},
	{"inside", []EntryKind{atTunnel}, amongPeers, []AssetKind{networks, traffic}, "", "forwarding"},
	{"radius", []EntryKind{atRADIUS}, toRADIUS, []AssetKind{radiusKeys, passwords}, "", "RADIUS"},
	{"admin", []EntryKind{atManagement}, toOperators, []AssetKind{gateway}, "", "management"},
	{"files", []EntryKind{atFiles, atBackup}, localFiles, []AssetKind{psks, passwords, privateKeys, authority, radiusKeys, records}, toRecords, "files and records"},
}

var (
	entryOrder = []EntryKind{atIKE, atESP, atL2TP, atService, atWireGuard, atTunnel, atRADIUS, atManagement, atFiles, atBackup}
	assetOrder = []AssetKind{networks, traffic, passwords, radiusKeys, gateway, psks, privateKeys, authority, records}
)

// Diagram lays the model out.
func (m *Model) Diagram() *Diagram {
	d := &Diagram{Title: "Data flow of " + plural(len(m.Hosts), "host")}
	d.actors(m)
	d.entries(m)
	d.processes(m)
	d.assets(m)
	d.connect(m)
	d.frame()
	return d
}

// put adds a box below those of its column.
func (d *Diagram) put(column int, id, class, text, note string) {
	row := 0
	x := margin + column*columnStep
	for _, b := range d.Boxes {
		if b.X == x {
			row++
		}
	}
	y := headHeight + row*rowHeight
	middle := y + 17
	if note == "" {
		middle = y + 24
	}
	d.Boxes = append(d.Boxes, Box{id: id, X: x, Y: y, Width: boxWidth, Height: boxHeight, Class: class, TextX: x + boxWidth/2, TextY: middle, NoteY: y + 32, Text: text, Note: note})
}

// short are the actors' names that fit a box.
var short = map[ActorID]string{
	stranger: "stranger", recorder: "passive recorder", quantum: "recorder, quantum later", middle: "man in the middle", keyHolder: "holder of the group key",
	user: "authenticated user", leaver: "leaver", local: "local user", reader: "reader of a backup",
}

func (d *Diagram) actors(m *Model) {
	for _, a := range m.Actors {
		open := 0
		for _, k := range a.Marks {
			if k.Status == Open {
				open++
			}
		}
		d.put(0, "actor "+string(a.ID), class(worst(a.Marks)), short[a.ID], fmt.Sprintf("%d open", open))
	}
}

// entries sums up entry points by kind, with the widest reach.
func (d *Diagram) entries(m *Model) {
	for _, kind := range entryOrder {
		n, reach := 0, Nobody
		for _, e := range m.EntryPoints {
			if e.Kind == kind {
				n++
				if slices.Index(reaches, e.Reach) < slices.Index(reaches, reach) {
					reach = e.Reach
				}
			}
		}
		if n > 0 {
			d.put(1, "entry "+string(kind), "plain", string(kind), fmt.Sprintf("%d, reach: %s", n, reach))
		}
	}
}

func (d *Diagram) processes(m *Model) {
	for _, p := range processes {
		if !slices.ContainsFunc(p.from, func(k EntryKind) bool { return d.box("entry "+string(k)) != nil }) {
			continue
		}
		d.put(2, "process "+p.id, class(m.boundaryStatus(p.in)), p.process, "")
	}
}

func (m *Model) boundaryStatus(id BoundaryID) Status {
	for _, b := range m.Boundaries {
		if b.ID == id {
			return b.Status
		}
	}
	return NotAssessed
}

func (d *Diagram) assets(m *Model) {
	for _, kind := range assetOrder {
		n, marks := 0, []Mark{}
		for i := range m.Assets {
			if a := &m.Assets[i]; a.Kind == kind {
				n++
				marks = append(marks, a.Marks...)
			}
		}
		if n > 0 {
			d.put(3, "asset "+string(kind), class(worst(marks)), string(kind), fmt.Sprint(n))
		}
	}
}

// connect draws who uses which entry point, by the threats that do, and what
// that leads to.
func (d *Diagram) connect(m *Model) {
	for _, a := range m.Actors {
		for _, kind := range entryOrder {
			marks := m.marks(func(t *Threat) bool { return slices.Contains(t.Actors, a.ID) && slices.Contains(t.Entries, kind) })
			if len(marks) > 0 {
				d.flow("actor "+string(a.ID), "entry "+string(kind), worst(marks))
			}
		}
	}
	for _, p := range processes {
		in, out := m.boundaryStatus(p.in), m.boundaryStatus(p.in)
		if p.out != "" {
			out = m.boundaryStatus(p.out)
		}
		for _, kind := range p.from {
			d.flow("entry "+string(kind), "process "+p.id, in)
		}
		d.crossing("process "+p.id, -26, p.in, m)
		for _, kind := range p.assets {
			d.flow("process "+p.id, "asset "+string(kind), out)
		}
		d.crossing("process "+p.id, boxWidth+26, p.out, m)
	}
	d.flow("entry "+string(atESP), "process l2tp", m.boundaryStatus(intoL2TP)) // as it is meant to come
}

func (d *Diagram) box(id string) *Box {
	i := slices.IndexFunc(d.Boxes, func(b Box) bool { return b.id == id })
	if i < 0 {
		return nil
	}
	return &d.Boxes[i]
}

func (d *Diagram) flow(from, to string, s Status) {
	a, b := d.box(from), d.box(to)
	if a == nil || b == nil {
		return
	}
	d.Flows = append(d.Flows, Flow{X1: a.X + a.Width, Y1: a.Y + a.Height/2, X2: b.X, Y2: b.Y + b.Height/2, Class: class(s)})
}

// crossing writes a boundary's id beside a box.
func (d *Diagram) crossing(id string, dx int, b BoundaryID, m *Model) {
	x := d.box(id)
	there := slices.ContainsFunc(m.Boundaries, func(o Boundary) bool { return o.ID == b })
	if x == nil || !there {
		return
	}
	d.Marks = append(d.Marks, BoundaryMark{X: x.X + dx, Y: x.Y + x.Height/2, TextY: x.Y + x.Height/2 + 4, Class: class(m.boundaryStatus(b)), Text: string(b)})
}

// frame measures the picture, and draws headings and boundaries around what is
// in it.
func (d *Diagram) frame() {
	bottom := headHeight
	for _, b := range d.Boxes {
		bottom = max(bottom, b.Y+rowHeight)
	}
	d.Width, d.Height = 2*margin+3*columnStep+boxWidth, bottom+margin
	for i, text := range []string{"Actors", "Entry points", "On the gateway", "Assets"} {
		d.Zones = append(d.Zones, Zone{X: margin + i*columnStep + boxWidth/2, Y: headHeight - 25, Text: text})
	}
	for _, x := range []int{margin + 2*columnStep - 26, margin + 2*columnStep + boxWidth + 26} {
		d.Lines = append(d.Lines, Line{X1: x, Y1: headHeight - 40, X2: x, Y2: bottom})
	}
}

// class is a status as a name for style sheets.
func class(s Status) string { return strings.ReplaceAll(string(s), " ", "-") }
