import ipaddr from 'ipaddr.js'

type Range = [ipaddr.IPv4 | ipaddr.IPv6, number]

/** Tells whether an address is that of a proxy we trust. */
export const openTrust = (trusted: readonly string[]): ((ip: string) => boolean) => {
  const ranges = trusted.map((text): Range => (text.includes('/') ? ipaddr.parseCIDR(text) : single(text)))
  return (ip) => ranges.some((range) => matches(ip, range))
}

/** Reads who a request comes from: its peer, unless that is a proxy we trust, then whoever that proxy names. */
export const openClientAddress = (trusted: readonly string[]) => {
  const isTrusted = openTrust(trusted)
  return (peer: string, forwardedFor: string): string => {
    let client = canonical(peer)
    // From the right: each proxy appends the peer it saw, and only what a trusted one appended is known.
    const named = forwardedFor.split(',').map((one) => one.trim())
    while (named.length > 0 && isTrusted(client)) {
      const next = named.pop() ?? ''
      if (!ipaddr.isValid(next)) break
      client = canonical(next)
    }
    return client
  }
}

const single = (text: string): Range => {
  const address = ipaddr.process(text)
  return [address, address.kind() === 'ipv4' ? 32 : 128]
}

const matches = (ip: string, [network, bits]: Range): boolean => {
  if (!ipaddr.isValid(ip)) return false
  const address = ipaddr.process(ip)
  return address.kind() === network.kind() && address.match([network, bits] as [ipaddr.IPv4, number])
}

const canonical = (ip: string): string => (ipaddr.isValid(ip) ? ipaddr.process(ip).toString() : ip)
