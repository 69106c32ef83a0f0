export function Placeholders() {
  return (
    <div className="placeholders" role="status" aria-label="Loading projects">
      <div />
      <div />
      <div />
    </div>
  );
}
