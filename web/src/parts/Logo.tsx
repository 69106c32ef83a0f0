/** Three layers of cake. */
export function Logo() {
  return (
    <svg className="logo" viewBox="0 0 32 32" aria-hidden="true">
      <rect x="4" y="5" width="24" height="6" rx="3" fill="#d6336c" />
      <rect x="4" y="13" width="24" height="6" rx="3" fill="#f0a63c" />
      <rect x="4" y="21" width="24" height="6" rx="3" fill="#8a5a44" />
    </svg>
  );
}
