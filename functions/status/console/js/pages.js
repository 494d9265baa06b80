/**
 * Puts an answer to a page of a list in its place among the ids that are known.
 *
 * What stands between the first and the last of the answer, and is not in it, has left the list. Null when nothing of the answer is known: there
 * is a gap that only reading the list anew can close.
 */
export function merge(order, answer, { first, last }) {
  if (!answer.length && !last) return order;
  const at = new Map(order.map((id, index) => [id, index]));
  const known = answer.filter((id) => at.has(id)).map((id) => at.get(id));
  if (!known.length && order.length && !(first && last)) return null;
  const begin = first ? 0 : Math.min(...known);
  const end = last ? order.length : Math.max(...known) + 1;
  const fresh = new Set(answer);
  const keep = (id) => !fresh.has(id);
  return [...order.slice(0, begin).filter(keep), ...answer, ...order.slice(end).filter(keep)];
}
