import ipaddr from 'ipaddr.js'

// A proxy that nobody named, an office, this machine: such an address says nothing about who is behind it.
const inner = new Set(['loopback', 'private', 'linkLocal', 'uniqueLocal', 'unspecified'])

/**
 * The network that a public address belongs to, as far as one can tell without knowing who runs it: `/24` of IPv4, `/48`
 * of IPv6. Undefined for addresses that are only reached from inside.
 */
export const networkOf = (ip: string): string | undefined => {
  if (!ipaddr.isValid(ip)) return undefined
  const address = ipaddr.process(ip)
  if (inner.has(address.range())) return undefined
  const bits = address.kind() === 'ipv4' ? 24 : 48
  const Family = address.kind() === 'ipv4' ? ipaddr.IPv4 : ipaddr.IPv6
  return `${Family.networkAddressFromCIDR(`${address}/${bits}`)}/${bits}`
}
