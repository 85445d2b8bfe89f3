package config

// example is shown by "sallyport config example". A test holds it to parse
// without a warning.
const example = `# The smallest useful file is the next line alone; everything else has a safe
# default. "sallyport config explain KEY" tells about each key, and
# "sallyport config check FILE" says what is wrong, with line and column.
gateway:
  name: vpn.example.org              # what clients type, and what they verify
  # listen: [eth0]                   # outer interfaces or addresses; all by default

zones:
  staff:
    policy: strong                   # strong, cnsa2, bsi, compatible, or own lists
    auth: [certificate]
    pool: {ipv4: 10.60.0.0/16}       # IPv6: a private network is worked out
    dns: {servers: [10.0.0.53]}
    routes: [0.0.0.0/0, "::/0"]      # all traffic of the clients

  partners:
    pool: {ipv4: 10.61.0.0/24}
    routes: [10.20.30.0/24]          # one network and nothing else
    dns: {servers: [10.20.30.53]}
    rekey: {child: 30m, bytes: 16GiB}

  # printers: {protocol: l2tp, auth: [eap-tls, peap], reach: [10.20.30.0/24]}

# groups: {guests: {zone: staff, routes: [10.9.0.0/16], user: {download: 20Mbit}}}
# radius: {corp: {servers: [{address: "radius1:1812", secret: /etc/radius.key}]}}

logging: {level: info, format: text}
`
