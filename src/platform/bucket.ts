/** Lets so many through a second, and `burst` at once after a pause. */
export const openBucket = ({ rate, burst }: { rate: number; burst: number }): ((at: Date) => boolean) => {
  let tokens = burst
  let last: number | undefined
  return (at) => {
    const now = at.getTime()
    tokens = Math.min(burst, tokens + (Math.max(0, now - (last ?? now)) * rate) / 1000)
    last = now
    if (tokens < 1) return false
    tokens -= 1
    return true
  }
}
