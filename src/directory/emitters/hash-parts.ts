/** The pieces of a password hash that other systems take. */
export type HashParts =
  | ({ is: 'argon2'; variant: string; version: number; memory: number; passes: number; lanes: number } & Salted)
  | ({ is: 'pbkdf2'; digest: string; iterations: number } & Salted)
  | ({ is: 'scrypt'; cost: number; blockSize: number; parallelization: number } & Salted)
  | { is: 'bcrypt'; text: string }
  | { is: 'ldap'; text: string }

interface Salted {
  salt: Buffer
  hash: Buffer
}

/** Takes a kept hash to pieces; undefined for one that no other system is known to take. */
export const partsOf = (text: string): HashParts | undefined => {
  for (const read of readers) {
    const parts = read(text)
    if (parts) return parts
  }
  return undefined
}

const argon2 = (text: string): HashParts | undefined => {
  const [, variant = '', version = 16, memory, passes, lanes, salt, hash] =
    text.match(/^\$argon2(id|i|d)(?:\$v=(\d+))?\$m=(\d+),t=(\d+),p=(\d+)\$([^$]+)\$([^$]+)$/) ?? []
  if (!salt || !hash) return undefined
  const costs = { version: Number(version), memory: Number(memory), passes: Number(passes), lanes: Number(lanes) }
  return { is: 'argon2', variant, ...costs, salt: bytesOf(salt), hash: bytesOf(hash) }
}

const pbkdf2 = (text: string): HashParts | undefined => {
  const phc = text.match(/^\$pbkdf2(?:-(sha1|sha256|sha384|sha512))?\$(?:i=)?(\d+)(?:,l=\d+)?\$([^$]+)\$([^$]+)$/)
  const django = text.match(/^pbkdf2_(sha1|sha256|sha512)\$(\d+)\$([^$]+)\$([^$]+)$/)
  const [, digest = 'sha1', iterations, salt, hash] = phc ?? django ?? []
  if (!salt || !hash) return undefined
  const salted = phc ? bytesOf(salt) : Buffer.from(salt)
  return { is: 'pbkdf2', digest, iterations: Number(iterations), salt: salted, hash: bytesOf(hash) }
}

const scrypt = (text: string): HashParts | undefined => {
  const [, ln, r, p, salt, hash] = text.match(/^\$scrypt\$ln=(\d+),r=(\d+),p=(\d+)\$([^$]+)\$([^$]+)$/) ?? []
  if (!salt || !hash) return undefined
  const costs = { cost: 2 ** Number(ln), blockSize: Number(r), parallelization: Number(p) }
  return { is: 'scrypt', ...costs, salt: bytesOf(salt), hash: bytesOf(hash) }
}

const asTheyAre = (text: string): HashParts | undefined => {
  if (/^\$2[aby]\$/.test(text)) return { is: 'bcrypt', text }
  return /^\{S?(SHA|MD5)\d*\}/i.test(text) ? { is: 'ldap', text } : undefined
}

/** What Keycloak gave away and nobody has signed in with since. */
const keycloak = (text: string): HashParts | undefined => {
  if (!text.startsWith('{"')) return undefined
  const { credentialData, secretData } = JSON.parse(text)
  const { algorithm, hashIterations, additionalParameters: more } = JSON.parse(credentialData)
  const { value, salt } = JSON.parse(secretData)
  if (algorithm !== 'argon2') return pbkdf2(`$${algorithm}$i=${hashIterations}$${salt}$${value}`)
  const version = more.version[0] === '1.0' ? 16 : 19
  const costs = `m=${more.memory[0]},t=${hashIterations},p=${more.parallelism[0]}`
  return argon2(`$argon2${more.type[0]}$v=${version}$${costs}$${salt}$${value}`)
}

const readers = [argon2, pbkdf2, scrypt, asTheyAre, keycloak]

const bytesOf = (base64: string): Buffer => Buffer.from(base64.replaceAll('.', '+'), 'base64')
